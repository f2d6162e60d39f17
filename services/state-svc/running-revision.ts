// One revision while it runs: its containers, their order, what is told of them, and why it is not as it should be.
import type { ContainerPlan, Problem, Revision } from '../../shared/revision/revision.ts';
import type { GroupRow, Status } from '../../shared/schema/api.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Reservation } from '../../shared/schema/network.ts';
import { createAnnouncer } from './announcer.ts';
import { type Boot, createBoot } from './boot.ts';
import type { Carried } from './boot-state.ts';
import type { Container } from './container.ts';
import { checkDisks } from './disk-check.ts';
import { createDrivers, type Drivers } from './drivers.ts';
import { createNews } from './news.ts';
import type { Ask, Peers } from './peers.ts';
import { createPersistence } from './persistence.ts';
import {
  ALL_STAND,
  type Configured,
  configure,
  keepConfiguring,
  poolsHealth,
  standFor,
  startWaiting,
} from './pool-setup.ts';
import { problemLines } from './problem-lines.ts';
import { adoptAll, type ReconcileContext, resync } from './reconcile.ts';
import type { RunnerContext } from './runner-context.ts';
import { standingOf } from './standing.ts';
import { describe } from './start-pipeline.ts';
import { type Candidate, verifyCandidate } from './verify-revision.ts';

export interface RunningRevision {
  readonly candidate: Candidate;
  /** `''` when not even that is known. */
  readonly name: string;
  /** In alphabetical order. */
  readonly containers: readonly Container[];
  find(name: string): Container | undefined;
  groups(): readonly GroupRow[];
  status(): Status;
  readonly drivers: Drivers;
  /** Why nothing of it may be started; undefined: it may. */
  notYet(): string | undefined;
  /** Those of the container. False: they are tried until they do, and it is started then if it lacks its network for that. */
  poolsStand(plan: ContainerPlan): boolean;
  health(): readonly HealthReason[];
  /** Verifies all of it, makes its pools, takes from where it stands what runs. Answers what it is refused for, then nothing was started. */
  settle(carried: Carried, held: readonly Reservation[], gate: Gate): Promise<readonly Problem[]>;
  /** In place of another, whose containers it has but for `fresh` ones, of which nothing is there. Verified before. */
  takeOver(
    fresh: readonly string[],
    carried: Carried,
    held: readonly Reservation[],
    gate: Gate,
  ): Promise<readonly Problem[]>;
  /** Subscribers take their lists; groups get their turns, unless it was refused. */
  open(): void;
  /** A container changed, or any of them. */
  look(changed?: Container): void;
  mayStart(container: Container): Promise<void>;
  /** Exits were lost. */
  resync(): void;
  /** What its pools wait for may be there, or have gone. */
  lookAtPools(): void;
  /** Nothing is to be started any more. */
  close(): void;
  /** Another revision takes over: who waits for a turn asks that one. */
  handOver(): void;
}

/** The last word on a verified revision before anything is done for it. Asked again when it rejects. */
export type Gate = () => Promise<readonly Problem[]>;

export interface RunningContext extends RunnerContext {
  readonly peers: Peers;
  readonly ask: Ask;
  /** This service has restarted, the tree has not. */
  readonly sameLife: boolean;
  /** What runs is tried: it is given up when it does not come up in time. */
  isTried(): boolean;
  /** A group's time ran out. */
  onMissed(group: string, containers: readonly string[]): void;
}

/** Problems and reasons told to others; a damaged document can have thousands. */
const MAX_REASONS = 64;

export function createRunning(
  candidate: Candidate,
  containers: readonly Container[],
  context: RunningContext,
): RunningRevision {
  const { channel, peers, ask, clock, log, store } = context;
  const name = candidate.name ?? '';
  const announcer = createAnnouncer(channel, log, candidate.name, candidate.revision?.groups ?? [], () =>
    context.views.refresh(),
  );
  let problems = candidate.problems;
  let pools: Configured = ALL_STAND;
  let boot: Boot | undefined;
  let isOver = false;
  const news = createNews(clock);
  const { persist, limit, met } = createPersistence(clock, log);
  const persistently: Ask = (call) => persist(() => ask(call));
  const notYet = (): string | undefined => {
    if (problems.length > 0) return 'its revision was refused, GET /health says why';
    return boot === undefined ? 'its revision is being verified; ask again in a moment' : undefined;
  };
  const drivers = createDrivers({
    peers,
    ask,
    log,
    notYet,
    meta: context.meta,
    sections: candidate.revision?.drivers ?? [],
    plans: candidate.revision?.containers ?? [],
  });
  const reconciling = (carried: Carried): ReconcileContext => ({ ...context, revision: name, carried, containers });

  const refuse = (found: readonly Problem[]): readonly Problem[] => {
    problems = found;
    for (const line of problemLines(found)) log.error(`revision ${candidate.name ?? '?'} refused: ${line}`);
    return found;
  };

  /** Disks, metadata and pools that its containers need. */
  const provide = async (
    revision: Revision,
    held: readonly Reservation[],
    nothingRuns: boolean,
  ): Promise<readonly Problem[]> => {
    const unavailable = await checkDisks(revision, peers, persistently);
    if (unavailable.length > 0) return refuse(unavailable);
    context.views.show(revision.containers);
    const wanted = { ...revision, reservations: [...revision.reservations, ...held] };
    const configured = await configure(wanted, peers, persistently, { nothingRuns, isTried: context.isTried() });
    if (configured.refused.length > 0) return refuse(configured.refused);
    pools = configured;
    for (const { message } of poolsHealth(pools)) log.error(message);
    tellOfParents([]);
    void repairPools(wanted);
    return [];
  };

  const repairPools = async (revision: Revision): Promise<void> => {
    const isWanted = (): boolean => !isOver;
    await keepConfiguring(revision, pools, { peers, ask, news }, isWanted, (configured) => {
      const waited = containers.filter(({ plan }) => !standFor(plan, pools));
      const { parentless } = pools;
      pools = configured;
      tellOfParents(parentless);
      const freed = waited.filter(({ plan }) => standFor(plan, pools));
      if (freed.length > 0) log.info('pools of the revision stand now, who waited for them is started');
      startWaiting(freed);
    });
  };

  /** `told`: those of which it was told. */
  const tellOfParents = (told: readonly string[]): void => {
    for (const pool of pools.parentless.filter((each) => !told.includes(each))) {
      log.error(`the parent of pool ${pool} is missing, its containers wait for it`);
    }
  };

  const order = (revision: Revision): void => {
    const { startLimit: limit, onMissed, trial } = context;
    const { goalsTimeoutMs } = trial;
    boot = createBoot(revision, containers, { clock, log, limit, goalsTimeoutMs, onMissed });
  };

  const warn = (): void => {
    for (const { path, message } of candidate.warnings) log.warn(`${path}: ${message}`);
  };

  const settle = async (carried: Carried, held: readonly Reservation[], gate: Gate): Promise<readonly Problem[]> => {
    openLog(context, candidate);
    warn();
    for (const key of candidate.revision?.ignored ?? []) log.debug(`${key} is not known and was ignored`);
    const found = await verifyCandidate(store, candidate);
    const { revision } = candidate;
    if (found.length > 0 || revision === undefined) return refuse(found);
    log.info(`revision ${name}: ${revision.objects.size} objects verified`);
    if (context.isTried()) limit(context.trial.goalsTimeoutMs);
    const barred = await persist(gate);
    if (barred.length > 0) return refuse(barred);
    const unmade = await provide(revision, held, context.nothingRuns);
    if (unmade.length > 0) return unmade;
    await persist(() => adoptAll(reconciling(carried)));
    order(revision);
    return [];
  };

  /** Those that stay, of a revision that was refused before it had taken them from where they stand. */
  const catchUp = async (carried: Carried): Promise<void> => {
    if (containers.every(({ adopted }) => adopted)) return;
    await persist(() => adoptAll(reconciling(carried)));
    // Whoever ended between the list and its adoption was told of to nobody who knew its run.
    await resync(reconciling(carried));
  };

  const takeOver = async (
    fresh: readonly string[],
    carried: Carried,
    held: readonly Reservation[],
    gate: Gate,
  ): Promise<readonly Problem[]> => {
    limit(context.trial.goalsTimeoutMs);
    openLog(context, candidate);
    warn();
    const { revision } = candidate;
    if (revision === undefined) return refuse(candidate.problems);
    const barred = await persist(gate);
    if (barred.length > 0) return refuse(barred);
    const unmade = await provide(revision, held, false);
    if (unmade.length > 0) return unmade;
    const newcomers = containers.filter(({ plan }) => fresh.includes(plan.name));
    for (const container of newcomers) {
      const { plan } = container;
      await container.adopt(standingOf(plan, context.intents.get(plan.name), undefined, false), undefined);
    }
    await catchUp(carried);
    order(revision);
    // Those of the revision before, whose pools did not stand.
    if (!isOver) startWaiting(containers.filter(({ plan }) => standFor(plan, pools)));
    return [];
  };
  const refuseFor = (error: unknown): readonly Problem[] =>
    refuse([{ path: '', code: 'INTERNAL', message: String(error) }]);

  return {
    candidate,
    name,
    containers,
    find: (wanted) => containers.find((container) => container.plan.name === wanted),
    groups: () => announcer.groups(containers),
    status: () => announcer.status(containers),
    notYet,
    poolsStand: (plan) => standFor(plan, pools),
    drivers,
    health: () => [
      ...bounded(problems),
      ...poolsHealth(pools).slice(0, MAX_REASONS),
      ...met().map((fault) => waitingReason(name, fault)),
      ...[...containers.flatMap(({ problem }) => problem ?? []), ...(boot?.reasons() ?? [])].slice(0, MAX_REASONS),
    ],
    settle: (carried, held, gate) => settle(carried, held, gate).catch(refuseFor),
    takeOver: (...how) => takeOver(...how).catch(refuseFor),
    open() {
      announcer.open(containers, problems.length > 0);
      boot?.open();
    },
    look(changed) {
      boot?.look(changed);
      announcer.look(containers, changed);
    },
    mayStart: (container) => boot?.mayStart(container) ?? Promise.resolve(),
    resync: () => void resync(reconciling({})),
    lookAtPools: news.tell,
    close() {
      isOver = true;
      news.tell();
      boot?.close();
    },
    handOver() {
      isOver = true;
      news.tell();
      boot?.handOver();
    },
  };
}

/** Not waited for: containers start without it, and log-svc keeps what comes before. */
function openLog({ peers, ask, log }: RunningContext, { name }: Candidate): void {
  if (name === undefined) return;
  ask(() => peers.log.openRevision({ revision: name })).then(
    (answer) => answer.ok || log.warn(`logs of revision ${name}: ${describe(answer.error)}`),
    (error: unknown) => log.warn(`logs of revision ${name}: ${String(error)}`),
  );
}

function waitingReason(revision: string, fault: string): HealthReason {
  const message = `its start cannot go on, and asks again every few seconds: ${fault}`;
  return { code: 'START_WAITS', subject: `revision ${revision}`, message: message.slice(0, 500) };
}

function bounded(problems: readonly Problem[]): readonly HealthReason[] {
  const shown = problems.slice(0, MAX_REASONS).map(({ path, code, message }) => ({
    code: 'REVISION_REFUSED',
    subject: path.slice(0, 200),
    message: `${code}: ${message}`.slice(0, 500),
  }));
  const rest = problems.length - shown.length;
  if (rest === 0) return shown;
  return [
    ...shown,
    { code: 'REVISION_REFUSED', subject: '', message: `and ${rest} problems more, which berth check names` },
  ];
}
