// When the hardware watchdog guards the machine, as a table: (state, event) → (next state, what to do). No I/O, no clock.
//
//   state     | event       | mode            → next      | effects
//   closed    | started     | startup, always → guarding  | open
//   closed    | machineEnds | not disabled    → ending    | open
//   guarding  | sound       |                 → guarding  | feed
//   guarding  | unsound     |                 → withheld  | (nothing: the machine is reset when the time is over)
//   guarding  | up          | startup         → closed    | close
//   withheld  | sound       |                 → guarding  | feed
//   guarding, withheld | machineEnds          → ending    | feed
//   guarding, withheld | ended                → closed    | close
//   ending    | sound, unsound                → ending    | feed        (services are being ended)
//   ending    | ended                         → handed    | feed        (the rest is the init's, within the timeout)
// Every other pair changes nothing. `close` tells the driver that the guard is no longer wanted; who ends without it, killed or in
// `handed`, leaves the time running.

export type WatchdogMode = 'disabled' | 'shutdown' | 'startup' | 'always';
export type WatchdogState = 'closed' | 'guarding' | 'withheld' | 'ending' | 'handed';
export type WatchdogEvent = 'started' | 'up' | 'sound' | 'unsound' | 'machineEnds' | 'ended';
export type WatchdogEffect = 'open' | 'feed' | 'close';

interface Step {
  readonly state: WatchdogState;
  readonly effect?: WatchdogEffect;
  /** Of all modes when it says nothing. */
  readonly modes?: readonly WatchdogMode[];
}

const TABLE: Readonly<Record<WatchdogState, Partial<Readonly<Record<WatchdogEvent, Step>>>>> = {
  closed: {
    started: { state: 'guarding', effect: 'open', modes: ['startup', 'always'] },
    machineEnds: { state: 'ending', effect: 'open', modes: ['shutdown', 'startup', 'always'] },
  },
  guarding: {
    sound: { state: 'guarding', effect: 'feed' },
    unsound: { state: 'withheld' },
    up: { state: 'closed', effect: 'close', modes: ['startup'] },
    machineEnds: { state: 'ending', effect: 'feed' },
    ended: { state: 'closed', effect: 'close' },
  },
  withheld: {
    sound: { state: 'guarding', effect: 'feed' },
    machineEnds: { state: 'ending', effect: 'feed' },
    ended: { state: 'closed', effect: 'close' },
  },
  ending: {
    sound: { state: 'ending', effect: 'feed' },
    unsound: { state: 'ending', effect: 'feed' },
    ended: { state: 'handed', effect: 'feed' },
  },
  handed: {},
};

export function step(mode: WatchdogMode, state: WatchdogState, event: WatchdogEvent): Step {
  const found = TABLE[state][event];
  return found === undefined || found.modes?.includes(mode) === false ? { state } : found;
}

/** How long a critical service may be down, milliseconds: its restarts, with their pauses, are not the machine's business. */
export const PATIENCE_MS = 30_000;

/** Without log-svc lines are lost, and everything else goes on. */
const UNCRITICAL: readonly string[] = ['log-svc', 'supervisor'];

export interface Vital {
  readonly service: string;
  readonly state: string;
}

/** What is to be remembered of critical services: since when each of them is not as it should be, by a monotonic clock. */
export type DownSince = ReadonlyMap<string, number>;

/** Ready means beating: a service that does not beat is killed. One that was stopped is as somebody wants it. */
export function look(vitals: readonly Vital[], before: DownSince, nowMs: number): DownSince {
  const down = vitals.filter(
    ({ service, state }) => !UNCRITICAL.includes(service) && /^(starting|backoff)$/.test(state),
  );
  return new Map(down.map(({ service }) => [service, before.get(service) ?? nowMs]));
}

/** The service for whose sake the machine is to be reset; undefined: none. */
export function lostService(down: DownSince, nowMs: number): string | undefined {
  for (const [service, sinceMs] of down) if (nowMs - sinceMs > PATIENCE_MS) return service;
  return undefined;
}

/** How often to feed, milliseconds: four times within the timeout, so that one that is late is not missed. */
export function feedIntervalMs(timeoutSeconds: number): number {
  return Math.min(5_000, Math.max(250, timeoutSeconds * 250));
}
