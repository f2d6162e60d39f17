// What state-svc is: the revision that runs, the updates that replace it, and the lists and actions that others ask for.
import type { ContainerRow, GroupRow } from '../../shared/schema/api.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { lxcContract } from '../lxc-svc/contract.ts';
import { netContract } from '../net-svc/contract.ts';
import { sleep } from './clock.ts';
import type { Container } from './container.ts';
import { stateContract } from './contract.ts';
import { createDecided, type Decided } from './decided.ts';
import type { RevisionStatus } from './device-readings.ts';
import type { Drivers } from './drivers.ts';
import { createLeaseReturn } from './lease-return.ts';
import { createLogTail } from './log-tail.ts';
import { ASKED_AT_A_TIME, askInTurns, connectPeers, createAsk } from './peers.ts';
import { createRebootRequests, type RebootRequests } from './reboot-request.ts';
import { somethingLives } from './reconcile.ts';
import type { RunnerContext } from './runner-context.ts';
import { createStage, type Stage } from './stage.ts';
import { withoutLogs } from './step-progress.ts';
import { stopAll } from './stop-all.ts';
import { createUpdateHooks } from './update-hooks.ts';
import { createUpdates, type Updates } from './updates.ts';
import { refused } from './verify-revision.ts';

export interface RevisionRunner {
  /** `''` while none could be read, and before it is decided. */
  readonly revision: string;
  readonly decided: Decided;
  /** Whether what ran before this service started is adopted, or nothing did: until then nobody is told that it does not run. */
  readonly adopted: Decided;
  /** In alphabetical order. */
  containers(): readonly ContainerRow[];
  /** In start order. */
  groups(): readonly GroupRow[];
  find(name: string): Container | undefined;
  /** False: the container has no business to signal READY now. */
  signalReady(container: string): Promise<boolean>;
  readonly drivers: Drivers;
  /** Name and status of the revision, as far as they are known. */
  revisionStatus(): RevisionStatus;
  health(): readonly HealthReason[];
  readonly updates: Updates;
  readonly reboots: RebootRequests;
  /** Verifies, reconciles, starts. Resolves when what ran already is adopted, or the revision is refused; never rejects. */
  readonly settled: Promise<void>;
  /** Stops every container, groups in reverse, and takes the pools' network away. Answers what did not work, past it all. */
  stopAll(): Promise<readonly string[]>;
  /** Nothing is started or stopped for it any more; resolves when all that was to be written down is. */
  close(): Promise<void>;
}

const ASK_AGAIN_MS = 5000;

/** Milliseconds that a stop of everything waits for a replacement to end: one that asks a peer which is away may take minutes. */
const SWITCH_PATIENCE_MS = 30_000;

/** Reads the revision at once where it can, so that lists can be answered; everything slow goes on behind it. */
export async function runRevision(given: RunnerContext): Promise<RevisionRunner> {
  const { channel, clock } = given;
  const tail = createLogTail(given.log, clock.nowMs);
  const { log } = tail;
  const context = { ...given, log };
  const peers = connectPeers(channel);
  const ask = createAsk(clock, log);
  const reboots = createRebootRequests({ channel, clock, log, isBusy: () => updates.begun !== undefined });
  const leaseReturn = createLeaseReturn({
    peers,
    ask,
    clock,
    log,
    store: context.leaseHolds,
    holdMs: context.leaseHoldMs,
  });
  let stage: Stage | undefined;
  const theStage = (): Stage => {
    if (stage === undefined) throw new Error('nothing runs yet');
    return stage;
  };
  const loaded = await context.bootStore.load();
  const updates = createUpdates({
    clock,
    tail,
    reboots,
    loaded: loaded.ok ? loaded.value : undefined,
    store: context.store,
    bootStore: context.bootStore,
    steps: context.steps,
    limits: context.trial,
    life: context.life,
    stage: theStage,
    hooks: (boot) =>
      createUpdateHooks({
        ask,
        peers,
        tail,
        boot,
        steps: context.steps,
        life: context.life,
        current: () => theStage().current,
        lives: () => somethingLives({ ask, peers }),
      }),
    publish: (revision, progress) =>
      channel.publish(stateContract, 'updateProgressed', { revision, progress: withoutLogs(progress) }),
    onKnown: ({ containers, plans, isComplete }) => {
      void leaseReturn.open(containers, plans);
      // What the user stopped in a revision that may come back stays stopped.
      if (!isComplete) return;
      context.intents
        .keepOnly(containers)
        .catch((error: unknown) => log.warn(`containers that no revision has are not forgotten: ${String(error)}`));
    },
  });

  const isNewLife = given.life === '' || !loaded.ok || loaded.value.life !== given.life;
  const inDoubt = loaded.ok && updates.leavesDoubt(loaded.value);
  const first =
    loaded.ok && !inDoubt
      ? await updates.decide(loaded.value, false)
      : refused(undefined, loaded.ok ? [] : loaded.problems);
  stage = createStage(first, {
    ...context,
    peers,
    ask: askInTurns(ask, ASKED_AT_A_TIME),
    sameLife: !isNewLife,
    requestReboot: reboots.request,
    // Others run on over a restart of this service, or of the tree beside them, and what was lacking at their boot had its reboots then.
    requestRebootAtBoot(...asked) {
      if (!updates.trying) void lives.then((some) => some || reboots.request(...asked));
    },
    onChange: () => updates.look(),
    isTried: () => updates.trying,
    onMissed: (group, containers) => updates.missed(group, containers),
  });

  const livesYet = async (): Promise<boolean> => {
    if (given.nothingRuns) return false;
    for (;;) {
      try {
        return await somethingLives({ ask, peers });
      } catch (error) {
        log.error(`what runs is not known, asking again: ${String(error)}`);
        await sleep(clock, ASK_AGAIN_MS);
      }
    }
  };
  // Within a life nothing needs to be asked: something may, and adoption tells.
  const lives = isNewLife ? livesYet() : Promise.resolve(true);
  const decided = createDecided();
  if (!inDoubt) decided.known();
  const settle = async (): Promise<void> => {
    if (loaded.ok && inDoubt) theStage().present(await updates.decide(loaded.value, await lives));
    decided.known();
    await updates.settle();
  };
  const settled: Promise<void> = settle();
  const adopted = createDecided();
  const isAdopted = (): void => {
    adopted.known();
    context.views.refresh();
  };
  void settled.then(isAdopted);
  // A boot that finds nothing shows what it has while its objects are hashed.
  void lives.then((some) => some || isAdopted());
  const current = () => theStage().current;

  channel.subscribe(lxcContract, 'containerExited', {
    onEvent: ({ container, ...exit }) => {
      // Before adoption there is nothing to compare with; listContainers tells it all the same.
      void settled.then(() => current().find(container)?.exited(exit));
    },
    onLost: () => void settled.then(() => current().resync()),
  });
  // One that takes over asks for its pools itself.
  const lookAtPools = (): void => current().lookAtPools();
  channel.subscribe(netContract, 'awaitedChanged', { onEvent: lookAtPools, onLost: lookAtPools });

  let ending: Promise<readonly string[]> | undefined;
  return {
    get revision() {
      return current().name;
    },
    decided,
    adopted,
    containers: () => current().containers.map((container) => container.row()),
    groups: () => current().groups(),
    find: (name) => current().find(name),
    async signalReady(container) {
      const { candidate, find } = current();
      const found = find(container);
      if (found !== undefined || candidate.revision !== undefined) return (await found?.signalReady()) ?? false;
      // Of a revision that cannot be read nobody knows whose goal it is; it is kept for whoever can read it.
      await context.intents
        .set(container, { readyPid: 0 })
        .catch((error: unknown) => log.error(`cannot write down that ${container} is READY: ${String(error)}`));
      return true;
    },
    drivers: {
      loadFor: (plan) => current().drivers.loadFor(plan),
      list: (container) => current().drivers.list(container),
      set: (action, container, driver) => current().drivers.set(action, container, driver),
    },
    revisionStatus: () => ({
      revision: decided.isKnown ? current().name : undefined,
      status: adopted.isKnown ? current().status() : undefined,
    }),
    health: () => [
      ...context.bootStore.health(),
      ...assumedReasons(updates.assumed),
      ...current().health(),
      ...context.views.health(),
      ...unwrittenReasons(context.intents.unwritten()),
      ...bootReasons(updates.unwritten),
    ],
    updates,
    reboots,
    settled,
    stopAll: () => {
      // Whoever asks again, because hundreds of containers take longer than a request may, waits for the same end.
      if (ending !== undefined) return ending;
      void updates.close();
      const end = async (): Promise<readonly string[]> => {
        await Promise.race([theStage().end(), sleep(clock, SWITCH_PATIENCE_MS)]);
        return stopAll(current().containers, current().candidate.revision, peers, ask);
      };
      ending = end();
      return ending;
    },
    async close() {
      const closed = updates.close();
      void theStage().end();
      for (const container of current().containers) container.close();
      await closed;
      await leaseReturn.close();
      await context.intents.drained();
    },
  };
}

function unwrittenReasons(reason: string | undefined): readonly HealthReason[] {
  if (reason === undefined) return [];
  const message = `what containers are meant to be cannot be written down, and holds until state-svc restarts. ${reason}`;
  return [{ code: 'ORDERS_UNWRITABLE', subject: 'cache/containers.json', message }];
}

function bootReasons(reason: string | undefined): readonly HealthReason[] {
  if (reason === undefined) return [];
  const message =
    'which revision runs cannot be written down: none can be begun or committed, and after a power cut the device goes by what was written ' +
    `before. ${reason}`;
  return [{ code: 'BOOT_UNWRITABLE', subject: 'boot/current.json', message: message.slice(0, 500) }];
}

function assumedReasons(assumed: Updates['assumed']): readonly HealthReason[] {
  const latest = assumed?.beside.at(-1);
  if (assumed === undefined || latest === undefined) return [];
  const { revision, beside } = assumed;
  const message =
    `it is not certain which revision ran here: ${revision} was taken by what is left in the storage, but ${beside.slice(-5).join(', ')} had been found good, ` +
    `or ran last; run the one that is meant, also if it is ${revision} (pvcontrol cmd run ${latest}). Until it is committed no garbage is collected`;
  return [{ code: 'REVISION_ASSUMED', subject: 'boot/current.json', message }];
}
