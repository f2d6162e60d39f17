// The life of one service as a table: (state, event) → (next state, what to do). No I/O, no clock.
//
//   state     | event        → next      | effects
//   stopped   | start        → starting  | spawn
//   starting  | ready        → ready     | announce
//   starting  | late         → starting  | kill            (its end follows as `ended`)
//   starting  | ended        → backoff   | scheduleRestart
//   ready     | silent       → ready     | kill
//   ready     | ended        → backoff   | scheduleRestart, announce
//   backoff   | restartDue   → starting  | spawn
//   starting, ready | stop   → stopping  | askToEnd
//   backoff   | stop         → stopped   | cancelRestart, announce
//   stopping  | late         → stopping  | kill
//   stopping  | ended        → stopped   | announce
//   stopping  | start        → renewing  |                 (it is to end first)
//   renewing  | late         → renewing  | kill
//   renewing  | ended        → starting  | spawn
//   renewing  | stop         → stopping  |
// Every other pair changes nothing.

export type LifeState = 'stopped' | 'starting' | 'ready' | 'backoff' | 'stopping' | 'renewing';
export type LifeEvent = 'start' | 'ready' | 'late' | 'silent' | 'ended' | 'restartDue' | 'stop';
export type LifeEffect = 'spawn' | 'kill' | 'askToEnd' | 'scheduleRestart' | 'cancelRestart' | 'announce';

interface Step {
  readonly state: LifeState;
  readonly effects: readonly LifeEffect[];
}

const TABLE: Readonly<Record<LifeState, Partial<Readonly<Record<LifeEvent, Step>>>>> = {
  stopped: { start: { state: 'starting', effects: ['spawn'] } },
  starting: {
    ready: { state: 'ready', effects: ['announce'] },
    late: { state: 'starting', effects: ['kill'] },
    ended: { state: 'backoff', effects: ['scheduleRestart'] },
    stop: { state: 'stopping', effects: ['askToEnd'] },
  },
  ready: {
    silent: { state: 'ready', effects: ['kill'] },
    ended: { state: 'backoff', effects: ['scheduleRestart', 'announce'] },
    stop: { state: 'stopping', effects: ['askToEnd'] },
  },
  backoff: {
    restartDue: { state: 'starting', effects: ['spawn'] },
    stop: { state: 'stopped', effects: ['cancelRestart', 'announce'] },
  },
  stopping: {
    late: { state: 'stopping', effects: ['kill'] },
    ended: { state: 'stopped', effects: ['announce'] },
    start: { state: 'renewing', effects: [] },
  },
  renewing: {
    late: { state: 'renewing', effects: ['kill'] },
    ended: { state: 'starting', effects: ['spawn'] },
    stop: { state: 'stopping', effects: [] },
  },
};

export function step(state: LifeState, event: LifeEvent): Step {
  return TABLE[state][event] ?? { state, effects: [] };
}
