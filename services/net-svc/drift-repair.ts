// Keeps what was asked for: looks whenever the kernel says that something changed, and brings back what is gone. Looking at
// what is right writes nothing.
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { type ContainerPaces, createContainerPaces } from './container-paces.ts';
import { ALL_AREAS, type KernelArea, type KernelWatch, watchKernel } from './kernel-watch.ts';
import type { NetFailure } from './net-failure.ts';
import {
  afterPass,
  CALM,
  CONTESTED_REST_MS,
  isContested,
  type Pace,
  type Pass,
  restMs,
  retryMs,
} from './repair-pace.ts';
import { type Finding, type Findings, type PassContext, repairOnce } from './repair-pass.ts';

export interface DriftRepair {
  /** The service itself is about to change something: the kernel will tell, and there is nothing to repair. */
  expectChanges(): void;
  healthReasons(): readonly HealthReason[];
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

export interface DriftContext extends PassContext {
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

/** Compares all areas at once, for what happened while nobody looked, then follows the kernel. Throws when it cannot be heard. */
export function createDriftRepair(context: DriftContext): DriftRepair {
  const { log } = context;
  const stopped = new AbortController();
  const state: State = {
    pace: CALM,
    containers: createContainerPaces(),
    failures: [],
    lastRepaired: '',
    ownChangeMs: Number.NEGATIVE_INFINITY,
  };
  const watch = watchKernel(() => untilPause(state, stopped.signal));
  for (const { area, reason } of watch.deaf()) log.warn(`changes of ${area} are not heard and not repaired: ${reason}`);
  const running = follow(context, watch, state, stopped.signal);
  return {
    expectChanges: () => {
      state.ownChangeMs = performance.now();
    },
    healthReasons: () => reasonsOf(context, state, watch),
    async stop() {
      stopped.abort();
      watch.close();
      await running;
    },
  };
}

interface State {
  /** Of the host's side. */
  pace: Pace;
  readonly containers: ContainerPaces;
  failures: readonly Finding<NetFailure>[];
  /** Of the host's side. */
  lastRepaired: string;
  /** Monotonic milliseconds. */
  ownChangeMs: number;
}

async function follow(context: DriftContext, watch: KernelWatch, state: State, signal: AbortSignal): Promise<void> {
  let areas: ReadonlySet<KernelArea> = new Set(ALL_AREAS);
  while (!signal.aborted) {
    const startedMs = performance.now();
    const findings = await repairOnce(context, areas, (container, isHeard) =>
      state.containers.takesTurn(container, isHeard, startedMs),
    );
    const failed = findings.failures.length > 0;
    const pass: Pass = { startedMs, endedMs: performance.now(), repaired: ofHost(findings).length > 0, failed };
    tell(context, state, findings);
    keepPace(context, state, pass, findings);
    await rest(restMs(state.pace, pass), signal);
    const heard = await watch.next(waitMs(state), () => context.host.unheardTables());
    areas = failed ? new Set(ALL_AREAS) : heard;
  }
}

const ofHost = ({ repaired }: Findings): string[] =>
  repaired.filter(({ container }) => container === undefined).map(({ what }) => what);

/** Somebody who fights on the host slows everything down; who does so within a container, what is done for that one. */
function keepPace({ desired, log }: DriftContext, state: State, pass: Pass, findings: Findings): void {
  const wasContested = isContested(state.pace, pass.startedMs);
  state.pace = afterPass(state.pace, pass);
  if (!wasContested && isContested(state.pace, pass.endedMs)) {
    log.error(`somebody undoes repairs of the network, the last of: ${state.lastRepaired}; slowing down`);
  }
  for (const { container, lastRepaired } of state.containers.afterPass(pass, findings.repaired, desired.attachments)) {
    log.error(`repairs of the network of ${container} are undone, the last of: ${lastRepaired}; slowing down for it`);
  }
}

/** Until the next pass although nothing is heard; -1: none. */
function waitMs({ pace, containers }: State): number {
  const waits = [retryMs(pace), containers.dueMs(performance.now())].filter((ms) => ms >= 0);
  return waits.length === 0 ? -1 : Math.min(...waits);
}

/** Until a burst of events is over, and nothing is changed by the service itself; what is heard meanwhile belongs to the same pass. */
async function untilPause(state: State, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + MAX_WAIT_MS;
  for (let waitMs = BURST_MS; waitMs > 0 && !signal.aborted; ) {
    await rest(waitMs, signal);
    waitMs = Math.min(state.ownChangeMs + OWN_PAUSE_MS, endMs) - performance.now();
  }
}

function tell({ log, announce }: DriftContext, state: State, findings: Findings): void {
  const { repaired, failures } = findings;
  if (repaired.length > 0) {
    const told = cut(repaired.map(({ what }) => what));
    log.warn(`repaired: ${told.join('; ')}`);
    announce(told);
  }
  const here = ofHost(findings);
  if (here.length > 0) state.lastRepaired = cut(here).join('; ');
  const before = new Set(state.failures.map(({ what }) => what.message));
  for (const { what } of failures) if (!before.has(what.message)) log.error(`cannot be repaired: ${what.message}`);
  // Who was not looked at is as before.
  state.failures = [
    ...failures,
    ...state.failures.filter(({ container }) => container !== undefined && state.containers.isPutOff(container)),
  ];
}

function cut(steps: readonly string[]): string[] {
  const more = steps.length - MAX_TOLD;
  return more > 0 ? [...steps.slice(0, MAX_TOLD), `and ${more} more`] : [...steps];
}

function reasonsOf({ desired }: DriftContext, state: State, { deaf }: KernelWatch): HealthReason[] {
  const { pace, containers, failures, lastRepaired } = state;
  const reasons: HealthReason[] = failures.slice(0, MAX_TOLD).map(({ what: { step, message } }) => ({
    code: 'NETWORK_NOT_REPAIRED',
    subject: step,
    message: `cannot be repaired: ${message}`,
  }));
  const nowMs = performance.now();
  if (isContested(pace, nowMs)) {
    const message = `somebody undoes repairs of the network again and again; the last were: ${lastRepaired}; find out who`;
    reasons.push({ code: 'NETWORK_CONTESTED', subject: 'network', message });
  }
  const fights = containers.contested(nowMs).filter(({ container }) => desired.attachments.has(container));
  for (const fight of fights.slice(0, MAX_TOLD)) {
    const who = `container ${fight.container}, or somebody in its place, undoes repairs of its network again and again`;
    const message = `${who}; the last were: ${fight.lastRepaired}; it is repaired every ${CONTESTED_REST_MS / 1_000} s only`;
    reasons.push({ code: 'NETWORK_CONTESTED', subject: `container ${fight.container}`, message });
  }
  for (const { area, reason } of deaf()) {
    const message = `changes of ${area} are not heard and not repaired: ${reason}`;
    reasons.push({ code: 'NETWORK_UNWATCHED', subject: area, message });
  }
  return reasons;
}

/** An abort ends it early. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => undefined);
}
