// The life table: what must hold on every path through it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type LifeEvent, type LifeState, step } from '../../services/supervisor/service-life.ts';

const EVENTS: readonly LifeEvent[] = ['start', 'ready', 'late', 'silent', 'ended', 'restartDue', 'stop'];

describe('supervisor.service-life', () => {
  it('goes stopped → starting → ready → backoff → starting → stopping → stopped', () => {
    const path: [LifeEvent, LifeState, readonly string[]][] = [
      ['start', 'starting', ['spawn']],
      ['ready', 'ready', ['announce']],
      ['silent', 'ready', ['kill']],
      ['ended', 'backoff', ['scheduleRestart', 'announce']],
      ['restartDue', 'starting', ['spawn']],
      ['late', 'starting', ['kill']],
      ['stop', 'stopping', ['askToEnd']],
      ['late', 'stopping', ['kill']],
      ['ended', 'stopped', ['announce']],
    ];
    let state: LifeState = 'stopped';
    for (const [event, next, effects] of path) {
      assert.deepEqual(step(state, event), { state: next, effects }, `${state} + ${event}`);
      state = next;
    }
  });

  it('has never two processes, and never restarts what was stopped', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...EVENTS)), (events) => {
        let state: LifeState = 'stopped';
        let processes = 0;
        for (const event of events) {
          // Only a process that exists can end or speak.
          if (processes === 0 && (event === 'ended' || event === 'ready' || event === 'silent')) continue;
          const before = state;
          const next = step(state, event);
          state = next.state;
          if (event === 'ended') processes -= 1;
          if (next.effects.includes('spawn')) processes += 1;
          assert.ok(processes === 0 || processes === 1, `${processes} processes after ${event}`);
          if (before === 'stopping') assert.ok(!next.effects.includes('scheduleRestart'));
        }
      }),
    );
  });
});
