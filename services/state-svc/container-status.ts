// The life of one container as a table: which event leads from which status to which, and what has to be done then.
// INSTALLED → MOUNTED → (BLOCKED) → STARTING → STARTED → READY; STOPPING → STOPPED; RECOVERING while auto-recovery waits.
import type { ContainerAction, Status } from '../../shared/schema/api.ts';

export const CONTAINER_EVENTS = [
  /** Its root filesystem is in place. */
  'mounted',
  /** An earlier group lost a goal between the mount and the start. */
  'held',
  /** Its network is being made, its init started. */
  'starting',
  /** Its init runs. */
  'started',
  /** It sent its READY signal. */
  'signalled',
  /** Its init ended, or a start was tried and undone, and it will be started again. */
  'crashed',
  /** The same, or its recovery was given up, and nobody will start it. */
  'ended',
  /** Somebody wants it stopped. */
  'stop',
  /** Its processes, network and mounts are gone. */
  'stopped',
  /** A start begins anew: the user, a restart or auto-recovery wants it. */
  'begin',
] as const;
export type ContainerEvent = (typeof CONTAINER_EVENTS)[number];

/**
 * `watch`: uptime counts, towards the reset of the retry counter and, once the goal is met, towards stability; of a container that
 * is only mounted so far, if that is its goal.
 * `unwatch`: it counts no more. `wait`: start again after auto-recovery's delay; `cancelWait`: do not.
 * `forget`: the pid belongs to a run that is over.
 */
export type ContainerEffect = 'watch' | 'unwatch' | 'wait' | 'cancelWait' | 'forget';

type Row = readonly [from: Status, event: ContainerEvent, to: Status, effects: readonly ContainerEffect[]];

export const TRANSITIONS: readonly Row[] = [
  ['INSTALLED', 'mounted', 'MOUNTED', ['watch']],
  ['MOUNTED', 'held', 'BLOCKED', []],
  ['MOUNTED', 'starting', 'STARTING', []],
  ['BLOCKED', 'starting', 'STARTING', []],
  ['STARTING', 'started', 'STARTED', ['watch']],
  ['STARTED', 'signalled', 'READY', ['watch']],
  ['READY', 'signalled', 'READY', []],

  // Straight to RECOVERING: whoever saw it STOPPED in between would take that for its end.
  ['STARTED', 'crashed', 'RECOVERING', ['unwatch', 'forget', 'wait']],
  ['READY', 'crashed', 'RECOVERING', ['unwatch', 'forget', 'wait']],
  ['STARTED', 'ended', 'STOPPED', ['unwatch', 'forget']],
  ['READY', 'ended', 'STOPPED', ['unwatch', 'forget']],
  // From INSTALLED also a run whose end was learnt only after a restart of state-svc.
  ['INSTALLED', 'crashed', 'RECOVERING', ['forget', 'wait']],
  ['MOUNTED', 'crashed', 'RECOVERING', ['forget', 'wait']],
  ['BLOCKED', 'crashed', 'RECOVERING', ['forget', 'wait']],
  ['STARTING', 'crashed', 'RECOVERING', ['forget', 'wait']],
  ['INSTALLED', 'ended', 'STOPPED', ['forget']],
  ['MOUNTED', 'ended', 'STOPPED', ['forget']],
  ['BLOCKED', 'ended', 'STOPPED', ['forget']],
  ['STARTING', 'ended', 'STOPPED', ['forget']],

  ['INSTALLED', 'stop', 'STOPPING', []],
  ['MOUNTED', 'stop', 'STOPPING', ['unwatch']],
  ['BLOCKED', 'stop', 'STOPPING', []],
  ['STARTING', 'stop', 'STOPPING', []],
  ['STARTED', 'stop', 'STOPPING', ['unwatch']],
  ['READY', 'stop', 'STOPPING', ['unwatch']],
  ['RECOVERING', 'stop', 'STOPPING', ['cancelWait']],
  ['STOPPING', 'stopped', 'STOPPED', ['forget']],

  ['STOPPED', 'begin', 'INSTALLED', []],
  ['RECOVERING', 'begin', 'INSTALLED', ['cancelWait']],
];

export interface Transition {
  readonly state: Status;
  readonly effects: readonly ContainerEffect[];
}

/** `undefined`: the event means nothing in this status, and nothing changes. */
export function transition(state: Status, event: ContainerEvent): Transition | undefined {
  const row = TRANSITIONS.find(([from, on]) => from === state && on === event);
  return row === undefined ? undefined : { state: row[2], effects: row[3] };
}

/** Statuses that the action changes. */
export const ALLOWED_FROM: Readonly<Record<ContainerAction, readonly Status[]>> = {
  start: ['STOPPED', 'RECOVERING'],
  stop: ['INSTALLED', 'MOUNTED', 'BLOCKED', 'STARTING', 'STARTED', 'READY', 'RECOVERING'],
  restart: ['MOUNTED', 'BLOCKED', 'STARTING', 'STARTED', 'READY', 'RECOVERING', 'STOPPED'],
};

/**
 * Statuses in which the container is, or comes to, what is asked for already: accepted as well, so that who asks need not look first.
 * What neither these nor those have is answered with NOT_ALLOWED.
 */
export const FULFILLED_IN: Readonly<Record<ContainerAction, readonly Status[]>> = {
  start: ['STARTING', 'STARTED', 'READY'],
  stop: ['STOPPING', 'STOPPED'],
  restart: [],
};

/** Why an action is refused, for people. */
export function refusal(action: ContainerAction, status: Status): string {
  if (status === 'STOPPING') return `it is being stopped; ask again when it is STOPPED`;
  if (action === 'restart') return 'it was not started yet; its group’s turn has not come';
  if (status === 'MOUNTED') return 'it is mounted already; ask for "restart" to mount it anew';
  return 'its start is under way or waits for its group’s turn';
}
