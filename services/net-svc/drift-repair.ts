// Keeps what was asked for: looks whenever the kernel says that something changed, and brings back what is gone. Looking at
// what is right writes nothing.
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { attach } from './attachments.ts';
import type { DesiredState } from './desired-state.ts';
import { listedView, withHost } from './host-links.ts';
import type { HostNetwork } from './host-network.ts';
import { ALL_AREAS, type KernelArea, type KernelWatch, watchKernel } from './kernel-watch.ts';
import { NetFailure } from './net-failure.ts';
import type { Namespaces } from './netns.ts';
import { afterPass, CALM, isContested, type Pace, type Pass, restMs, retryMs } from './repair-pace.ts';
import type { SenderGuard } from './sender-guard.ts';

export interface DriftRepair {
  /** The service itself is about to change something: the kernel will tell, and there is nothing to repair. */
  expectChanges(): void;
  healthReasons(): readonly HealthReason[];
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

export interface DriftContext {
  readonly namespaces: Namespaces;
  readonly host: HostNetwork;
  readonly desired: DesiredState;
  readonly senders?: SenderGuard;
  readonly log: Logger;
  /** Hears what one pass repaired. */
  readonly announce: (what: readonly string[]) => void;
}

/** A deleted bridge is a dozen events. */
const BURST_MS = 10;
/** Containers start and stop one after the other: a look at all of them waits for a pause in that, for as long at most. */
const OWN_PAUSE_MS = 100;
const MAX_WAIT_MS = 400;

/** One line of the log; who deletes 200 links need not read 200 steps. */
const MAX_TOLD = 20;

interface Findings {
  readonly repaired: readonly string[];
  readonly failures: readonly NetFailure[];
}

/** Compares all areas at once, for what happened while nobody looked, then follows the kernel. Throws when it cannot be heard. */
export function createDriftRepair(context: DriftContext): DriftRepair {
  const { log } = context;
  const stopped = new AbortController();
  const state: State = { pace: CALM, failures: [], lastRepaired: '', ownChangeMs: Number.NEGATIVE_INFINITY };
  const watch = watchKernel(() => untilPause(state, stopped.signal));
  for (const { area, reason } of watch.deaf) log.warn(`changes of ${area} are not heard and not repaired: ${reason}`);
  const running = follow(context, watch, state, stopped.signal);
  return {
    expectChanges: () => {
      state.ownChangeMs = performance.now();
    },
    healthReasons: () => reasonsOf(state, watch),
    async stop() {
      stopped.abort();
      watch.close();
      await running;
    },
  };
}

interface State {
  pace: Pace;
  failures: readonly NetFailure[];
  lastRepaired: string;
  /** Monotonic milliseconds. */
  ownChangeMs: number;
}

async function follow(context: DriftContext, watch: KernelWatch, state: State, signal: AbortSignal): Promise<void> {
  let areas: ReadonlySet<KernelArea> = new Set(ALL_AREAS);
  while (!signal.aborted) {
    const startedMs = performance.now();
    const findings = await repairOnce(context, areas);
    const failed = findings.failures.length > 0;
    const pass: Pass = { startedMs, endedMs: performance.now(), repaired: findings.repaired.length > 0, failed };
    const wasContested = isContested(state.pace, pass.startedMs);
    state.pace = afterPass(state.pace, pass);
    tell(context, state, findings);
    if (!wasContested && isContested(state.pace, pass.endedMs)) {
      context.log.error(`somebody undoes repairs of the network, the last of: ${state.lastRepaired}; slowing down`);
    }
    await rest(restMs(state.pace, pass), signal);
    const heard = await watch.next(retryMs(state.pace), () => context.host.unheardTables());
    areas = failed ? new Set(ALL_AREAS) : heard;
  }
}

/** Until a burst of events is over, and nothing is changed by the service itself; what is heard meanwhile belongs to the same pass. */
async function untilPause(state: State, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + MAX_WAIT_MS;
  for (let waitMs = BURST_MS; waitMs > 0 && !signal.aborted; ) {
    await rest(waitMs, signal);
    waitMs = Math.min(state.ownChangeMs + OWN_PAUSE_MS, endMs) - performance.now();
  }
}

/** One pass. What fails does not keep the rest from being repaired. */
export async function repairOnce(
  context: Pick<DriftContext, 'namespaces' | 'host' | 'senders'> & {
    readonly desired: Pick<DesiredState, 'attachments' | 'isMacvlan'>;
  },
  areas: ReadonlySet<KernelArea>,
): Promise<Findings> {
  const repaired: string[] = [];
  const failures: NetFailure[] = [];
  const note = (error: unknown): void => {
    if (!(error instanceof NetFailure)) throw error;
    failures.push(error);
  };
  const record = (step: string): void => {
    repaired.push(step);
  };
  // Links first: the pairs of containers hang on the bridges.
  await context.host.repair(only(areas, 'links'), record).catch(note);
  const rules = context.host.repair(only(areas, 'rules'), record).catch(note);
  // They are compared by programs, which are started then and run while the containers are compared here.
  await nextTurn();
  try {
    if (areas.has('links') || areas.has('mounts')) repairAttachments(context, areas, record, note);
  } catch (error) {
    note(error);
  }
  await rules;
  if (areas.has('rules')) await context.senders?.ensure(record);
  return { repaired, failures };
}

function only(areas: ReadonlySet<KernelArea>, area: KernelArea): ReadonlySet<KernelArea> {
  return new Set(areas.has(area) ? [area] : []);
}

function repairAttachments(
  { namespaces, desired }: Parameters<typeof repairOnce>[0],
  areas: ReadonlySet<KernelArea>,
  record: (step: string) => void,
  note: (error: unknown) => void,
): void {
  // Every mount of the machine is told, and of those only the files of namespaces concern us.
  const isDue = (container: string): boolean => areas.has('links') || !namespaces.isHeld(container);
  const due = [...desired.attachments].filter(([container]) => isDue(container));
  if (due.length === 0) return;
  withHost((host) => {
    const view = listedView(host);
    const mode = {
      strictness: 'enough',
      mayCreateNamespace: false,
      wasAttached: true,
      record,
      view,
      isMacvlan: desired.isMacvlan,
    } as const;
    for (const [container, leases] of due) {
      try {
        attach(namespaces, container, leases, mode);
      } catch (error) {
        note(error);
      }
    }
  });
}

function tell({ log, announce }: DriftContext, state: State, { repaired, failures }: Findings): void {
  if (repaired.length > 0) {
    const more = repaired.length - MAX_TOLD;
    const told = more > 0 ? [...repaired.slice(0, MAX_TOLD), `and ${more} more`] : repaired;
    state.lastRepaired = told.join('; ');
    log.warn(`repaired: ${state.lastRepaired}`);
    announce(told);
  }
  const before = new Set(state.failures.map(({ message }) => message));
  for (const { message } of failures) if (!before.has(message)) log.error(`cannot be repaired: ${message}`);
  state.failures = failures;
}

function reasonsOf({ pace, failures, lastRepaired }: State, { deaf }: KernelWatch): HealthReason[] {
  const reasons: HealthReason[] = failures.slice(0, MAX_TOLD).map(({ step, message }) => ({
    code: 'NETWORK_NOT_REPAIRED',
    subject: step,
    message: `cannot be repaired: ${message}`,
  }));
  if (isContested(pace, performance.now())) {
    const message = `somebody undoes repairs of the network again and again; the last were: ${lastRepaired}; find out who`;
    reasons.push({ code: 'NETWORK_CONTESTED', subject: 'network', message });
  }
  for (const { area, reason } of deaf) {
    const message = `changes of ${area} are not heard and not repaired: ${reason}`;
    reasons.push({ code: 'NETWORK_UNWATCHED', subject: area, message });
  }
  return reasons;
}

/** An abort ends it early. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => undefined);
}
