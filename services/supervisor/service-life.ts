// The life of one service as a table: (state, event) → (next state, what to do). No I/O, no clock.

export type LifeState = 'stopped' | 'starting' | 'ready' | 'backoff' | 'stopping' | 'renewing';
export type LifeEvent = 'start' | 'ready' | 'late' | 'silent' | 'ended' | 'restartDue' | 'stop';
export type LifeEffect = 'spawn' | 'kill' | 'askToEnd' | 'scheduleRestart' | 'cancelRestart' | 'announce';

interface Step {
  readonly state: LifeState;
  readonly effects: readonly LifeEffect[];
}

/** Every other pair changes nothing. */
const TABLE: Readonly<Record<LifeState, Partial<Readonly<Record<LifeEvent, Step>>>>> = {
  stopped: { start: { state: 'starting', effects: ['spawn'] } },
  starting: {
    ready: { state: 'ready', effects: ['announce'] },
    // Its end follows as `ended`.
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
    // It is to end first.
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
