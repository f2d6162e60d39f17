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
      ['start', 'starting', ['spawn']],
      ['stop', 'stopping', ['askToEnd']],
      ['start', 'renewing', []],
      ['late', 'renewing', ['kill']],
      ['stop', 'stopping', []],
      ['start', 'renewing', []],
      ['ended', 'starting', ['spawn']],
    ];
    let state: LifeState = 'stopped';
    for (const [event, next, effects] of path) {
      assert.deepEqual(step(state, event), { state: next, effects }, `${state} + ${event}`);
      state = next;
    }
  });

  it('runs again whenever start was the last word, and ends whenever stop was, however fast they follow each other', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('start' as const, 'stop' as const), { minLength: 1 }), (orders) => {
        let state: LifeState = 'ready';
        for (const order of orders) ({ state } = step(state, order));
        // What was asked to end does, in its time.
        if (state === 'stopping' || state === 'renewing') ({ state } = step(state, 'ended'));
        assert.equal(state === 'stopped', orders.at(-1) === 'stop');
      }),
    );
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
