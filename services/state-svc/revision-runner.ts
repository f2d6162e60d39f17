// The running revision: verified, configured, reconciled with what runs already, then booted; afterwards it answers for its
// containers and groups until the end.
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { ReadMeta } from '../../shared/revision/driver-modules.ts';
import type { Problem, Revision } from '../../shared/revision/revision.ts';
import type { ContainerRow, GroupRow } from '../../shared/schema/api.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { lxcContract } from '../lxc-svc/contract.ts';
import { createAnnouncer } from './announcer.ts';
import { type Boot, createBoot } from './boot.ts';
import { type Clock, sleep } from './clock.ts';
import { type Container, createContainer } from './container.ts';
import type { Standing } from './device-readings.ts';
import { checkDisks } from './disk-check.ts';
import { createDrivers, type Drivers } from './drivers.ts';
import type { IntentStore } from './intent-store.ts';
import type { LeaseHoldStore } from './lease-hold-store.ts';
import { createLeaseReturn } from './lease-return.ts';
import type { MetadataViews } from './metadata-views.ts';
import { type Ask, connectPeers, createAsk, type Peers } from './peers.ts';
import { configure, keepConfiguring, startWaiting } from './pool-setup.ts';
import { createRebootRequest } from './reboot-request.ts';
import { adoptAll, type ReconcileContext, resync } from './reconcile.ts';
import type { RevisionStore } from './revision-store.ts';
import { describe } from './start-pipeline.ts';
import { stopAll } from './stop-all.ts';
import { type Candidate, readCandidate, verifyCandidate } from './verify-revision.ts';

export interface RunnerContext {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: RevisionStore;
  readonly intents: IntentStore;
  /** For the options of drivers. */
  readonly meta: ReadMeta;
  readonly leaseHolds: LeaseHoldStore;
  /** What containers see of the metadata. */
  readonly views: MetadataViews;
  /** How long a container may be in no revision before its addresses are given back. */
  readonly leaseHoldMs: number;
  /** Starts under way at a time within the revision. */
  readonly startLimit: number;
}

export interface RevisionRunner {
  /** `''` while none could be read. */
  readonly revision: string;
  /** In alphabetical order. */
  containers(): readonly ContainerRow[];
  /** In start order. */
  groups(): readonly GroupRow[];
  find(name: string): Container | undefined;
  readonly drivers: Drivers;
  /** Name and status of the revision. */
  standing(): Standing;
  health(): readonly HealthReason[];
  /** Verifies, reconciles, starts. Resolves when what ran already is adopted, or the revision is refused; never rejects. */
  readonly settled: Promise<void>;
  /** Stops every container, groups in reverse, and takes the pools' network away. Answers what did not work, past it all. */
  stopAll(): Promise<readonly string[]>;
  /** Nothing is started or stopped for it any more; resolves when all that was to be written down is. */
  close(): Promise<void>;
}

/** Problems and reasons told to others; a damaged document can have thousands. */
const MAX_REASONS = 64;

/** Reads the revision at once, so that lists can be answered; everything slow goes on behind it. */
export async function runRevision(context: RunnerContext): Promise<RevisionRunner> {
  const { channel, clock, log } = context;
  const peers = connectPeers(channel);
  const ask = createAsk(clock, log);
  const requestReboot = createRebootRequest(channel, log);
  const leaseReturn = createLeaseReturn({
    ...{ peers, ask, clock, log },
    store: context.leaseHolds,
    holdMs: context.leaseHoldMs,
  });
  const candidate = await readCandidate(context.store);
  let problems: readonly Problem[] = candidate.problems;
  let unconfigured: readonly HealthReason[] = [];
  let boot: Boot | undefined;
  let isEnding = false;

  const plans = candidate.revision?.containers ?? [];
  const announcer = createAnnouncer(channel, log, candidate.name, candidate.revision?.groups ?? [], () =>
    context.views.refresh(),
  );
  const sections = candidate.revision?.drivers ?? [];
  const notYet = (): string | undefined => {
    if (problems.length > 0) return 'its revision was refused, GET /health says why';
    return boot === undefined ? 'its revision is being verified; ask again in a moment' : undefined;
  };
  const drivers = createDrivers({ sections, plans, peers, ask, meta: context.meta, notYet, log });
  const containers: readonly Container[] = plans.map((plan) =>
    createContainer(plan, {
      ...context,
      peers,
      ask,
      drivers,
      requestReboot,
      revision: candidate.name ?? '',
      mayStart: (container) => boot?.mayStart(container) ?? Promise.resolve(),
      notYet,
      changed: (container) => {
        boot?.look();
        announcer.look(containers, container);
      },
    }),
  );
  const reconciling: ReconcileContext = { ...context, peers, ask, revision: candidate.name ?? '', containers };

  channel.subscribe(lxcContract, 'containerExited', {
    onEvent: ({ container, ...exit }) => {
      // Before adoption there is nothing to compare with; listContainers tells it all the same.
      void settled.then(() => find(container)?.exited(exit));
    },
    onLost: () => void settled.then(() => resync(reconciling)),
  });

  const refuse = (found: readonly Problem[]): void => {
    problems = found;
    for (const { path, code, message } of found)
      log.error(`revision ${candidate.name ?? '?'} refused: ${path}: ${message} (${code})`);
    requestReboot('REVISION_REFUSED', found[0]?.message ?? '');
  };

  const settle = async (): Promise<void> => {
    openLog(peers, ask, candidate, log);
    for (const { path, message } of candidate.warnings) log.warn(`${path}: ${message}`);
    for (const key of candidate.revision?.ignored ?? []) log.debug(`${key} is not known and was ignored`);
    const found = await verifyCandidate(context.store, candidate);
    const { revision } = candidate;
    if (found.length > 0 || revision === undefined) return refuse(found);
    log.info(`revision ${candidate.name}: ${revision.objects.size} objects verified`);
    const unavailable = await checkDisks(revision, peers, (call) => persist(call, ask, clock, log));
    if (unavailable.length > 0) return refuse(unavailable);
    context.views.show(revision.containers);
    const configured = await configure(revision, peers, (call) => persist(call, ask, clock, log));
    if (configured.refused.length > 0) return refuse(configured.refused);
    unconfigured = configured.reasons;
    for (const { message } of unconfigured) log.error(message);
    if (unconfigured.length > 0) void settled.then(() => repairPools(revision));
    await persist(
      () => adoptAll(reconciling),
      (call) => call(),
      clock,
      log,
    );
    boot = createBoot(revision, containers, { clock, log, limit: context.startLimit });
    void leaseReturn.open(new Set(revision.containers.map(({ name }) => name)), revision.containers);
  };

  const repairPools = async (revision: Revision): Promise<void> => {
    await keepConfiguring(
      revision,
      { peers, ask, clock },
      () => !isEnding,
      (reasons) => {
        unconfigured = reasons;
      },
    );
    if (isEnding) return;
    log.info('the pools of the revision stand now, who waited for them is started');
    startWaiting(containers);
  };

  const settled: Promise<void> = settle()
    .catch((error: unknown) => refuse([{ path: '', code: 'INTERNAL', message: String(error) }]))
    .then(() => {
      announcer.open(containers, problems.length > 0);
      boot?.open();
    });

  const find = (name: string): Container | undefined => containers.find((container) => container.plan.name === name);

  return {
    revision: candidate.name ?? '',
    containers: () => containers.map((container) => container.row()),
    groups: () => announcer.groups(containers),
    find,
    drivers,
    standing: () => ({ revision: candidate.name ?? '', status: announcer.status(containers) }),
    health: () => [
      ...bounded(problems),
      ...unconfigured,
      ...context.views.health(),
      ...unwrittenReasons(context.intents.unwritten()),
      ...[...containers.flatMap(({ problem }) => problem ?? []), ...(boot?.reasons() ?? [])].slice(0, MAX_REASONS),
    ],
    settled,
    stopAll: () => {
      isEnding = true;
      boot?.close();
      return stopAll(containers, candidate.revision, peers, ask);
    },
    async close() {
      isEnding = true;
      boot?.close();
      for (const container of containers) container.close();
      await leaseReturn.close();
      await context.intents.drained();
    },
  };
}

/** Not waited for: containers start without it, and log-svc keeps what comes before. */
function openLog(peers: Peers, ask: Ask, { name }: Candidate, log: Logger): void {
  if (name === undefined) return;
  ask(() => peers.log.openRevision({ revision: name })).then(
    (answer) => answer.ok || log.warn(`logs of revision ${name}: ${describe(answer.error)}`),
    (error: unknown) => log.warn(`logs of revision ${name}: ${String(error)}`),
  );
}

function unwrittenReasons(reason: string | undefined): readonly HealthReason[] {
  if (reason === undefined) return [];
  const message = `what containers are meant to be cannot be written down (${reason}); it holds until state-svc restarts`;
  return [{ code: 'ORDERS_UNWRITABLE', subject: 'cache/containers.json', message }];
}

const PERSIST_MS = 5000;

/** For the steps without which nothing can go on: asked until there is an answer. */
async function persist<T>(call: () => Promise<T>, ask: Ask, clock: Clock, log: Logger): Promise<T> {
  for (;;) {
    try {
      return await ask(call);
    } catch (error) {
      log.error(`${String(error)}; trying again in ${PERSIST_MS} ms`);
      await sleep(clock, PERSIST_MS);
    }
  }
}

function bounded(problems: readonly Problem[]): readonly HealthReason[] {
  const shown = problems.slice(0, MAX_REASONS).map(({ path, code, message }) => ({
    code: 'REVISION_REFUSED',
    subject: path.slice(0, 200),
    message: `${code}: ${message}`.slice(0, 500),
  }));
  const rest = problems.length - shown.length;
  if (rest === 0) return shown;
  return [...shown, { code: 'REVISION_REFUSED', subject: '', message: `and ${rest} problems more, see the log` }];
}
