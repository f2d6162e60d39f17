// Which revision the next start boots, whatever happened before.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type BootEvent,
  type BootState,
  bootState,
  bootStep,
  neededBy,
  runningOf,
} from '../../services/state-svc/boot-state.ts';

const DONE: BootState = { revision: '0', life: 'a' };
const began = (way: 'reboot' | 'live', once = false): Extract<BootEvent, { kind: 'began' }> => ({
  kind: 'began',
  revision: 'locals/x',
  way,
  once,
  nowMs: 5,
  carried: way === 'live' ? { kept: ['0'] } : {},
});
const restart = (life = 'a'): BootEvent => ({ kind: 'booted', life, alive: true, nowMs: 9 });
const reboot: BootEvent = { kind: 'booted', life: 'b', alive: false, nowMs: 9 };
const COMMIT: BootEvent = { kind: 'committed' };
const FAIL: BootEvent = { kind: 'failed', carried: {}, byReboot: true };

const after = (...events: readonly BootEvent[]): BootState =>
  events.reduce((state, event) => bootStep(state, event).state, DONE);

describe('boot state', () => {
  const table: readonly (readonly [string, BootState, string, string])[] = [
    ['nothing but what came with the device', after(), '0', '0'],
    ['an update that waits for its reboot', after(began('reboot')), '0', '0'],
    ['the same after a restart of state-svc', after(began('reboot'), restart()), '0', '0'],
    ['an update after its reboot', after(began('reboot'), reboot), 'locals/x', '0'],
    ['a restart of state-svc in the middle of its test', after(began('reboot'), reboot, restart('b')), 'locals/x', '0'],
    ['a supervisor that came back to living containers', after(began('live'), restart('c')), 'locals/x', '0'],
    ['a power cut before the commit', after(began('reboot'), reboot, reboot), '0', '0'],
    ['a power cut before the commit of a live one', after(began('live'), reboot), '0', '0'],
    ['a commit after a reboot', after(began('reboot'), reboot, COMMIT), 'locals/x', 'locals/x'],
    ['a commit without one', after(began('live'), COMMIT), 'locals/x', '0'],
    ['a reboot after that', after(began('live'), COMMIT, reboot), 'locals/x', '0'],
    ['a commit after that', after(began('live'), COMMIT, reboot, COMMIT), 'locals/x', 'locals/x'],
    ['a power cut after that', after(began('live'), COMMIT, reboot, reboot), '0', '0'],
    ['one that is tried once', after(began('reboot', true), reboot, COMMIT), 'locals/x', '0'],
    ['a reboot after that one', after(began('live', true), COMMIT, reboot), '0', '0'],
    ['a failure', after(began('live'), FAIL), '0', '0'],
    [
      'a failure after an update that had been committed live',
      after(began('live'), COMMIT, began('live'), FAIL),
      '0',
      '0',
    ],
  ];
  for (const [what, state, runs, done] of table) {
    it(`runs ${runs} after ${what}, with ${done} to roll back to`, () => {
      assert.deepEqual([runningOf(state), state.revision], [runs, done]);
    });
  }

  it('is as before an update that was given up before its reboot', () => {
    for (const before of [after(), after(began('live'), COMMIT), after(began('live', true), COMMIT)]) {
      const waiting = bootStep(before, { ...began('reboot'), revision: 'locals/y' }).state;
      assert.deepEqual(bootStep(waiting, FAIL), { state: before, failed: undefined });
    }
  });

  it('tells what failed with a power cut, once', () => {
    const cut = bootStep(after(began('reboot'), reboot), reboot);
    assert.equal(cut.failed, 'locals/x');
    assert.deepEqual(cut.state.failed, ['locals/x']);
    assert.equal(bootStep(cut.state, reboot).failed, undefined);
  });

  it('keeps the time of a test over a restart', () => {
    const held = after(began('live'), { kind: 'held', sinceMs: 7 }, restart());
    assert.deepEqual(held.trying?.started, { sinceMs: 5, heldSinceMs: 7 });
    assert.deepEqual(after(began('live'), { kind: 'held', sinceMs: undefined }).trying?.started, { sinceMs: 5 });
  });

  it('begins the time of a test with the first turns of its containers, and counts the starts before', () => {
    const opened: BootEvent = { kind: 'opened', nowMs: 7 };
    for (const [state, expected] of [
      [after(began('live')), { sinceMs: 5, opening: 1 }],
      [after(began('reboot'), reboot), { sinceMs: 9, opening: 1 }],
      [after(began('reboot'), reboot, restart('b')), { sinceMs: 9, opening: 2 }],
      [after(began('reboot'), reboot, opened), { sinceMs: 7 }],
      [after(began('reboot'), reboot, opened, restart('b'), { kind: 'opened', nowMs: 11 }), { sinceMs: 7 }],
      [after(began('reboot'), opened), undefined],
    ] as const) {
      assert.deepEqual(state.trying?.started, expected);
      assert.deepEqual(bootState.parse(JSON.parse(JSON.stringify(state))), state);
    }
  });

  it('remembers that the way back needs a reboot until that has come, or another update is begun', () => {
    const back = after(began('reboot'), reboot, FAIL);
    const live: BootEvent = { kind: 'failed', carried: {}, byReboot: false };
    for (const [state, expected] of [
      [back, true],
      [bootStep(back, restart('c')).state, true],
      [bootStep(back, reboot).state, undefined],
      [bootStep(back, began('live')).state, undefined],
      [after(began('live'), live), undefined],
      [after(began('reboot'), FAIL), undefined],
    ] as const) {
      assert.equal(state.leaving, expected);
      assert.deepEqual(bootState.parse(JSON.parse(JSON.stringify(state))), state);
    }
  });

  it('remembers whose containers run on while they do', () => {
    assert.deepEqual(after(began('live'), COMMIT, restart('c')).carried, { kept: ['0'] });
    assert.equal(after(began('live'), COMMIT, reboot).carried, undefined);
  });

  it('remembers what is asked for until it is begun, dropped, or the power goes', () => {
    const asked: BootEvent = { kind: 'asked', revision: 'locals/y', once: true, commit: false };
    const remembered = { revision: 'locals/y', once: true, commit: false };
    for (const [state, expected] of [
      [after(asked), remembered],
      [after(asked, restart('c')), remembered],
      [after(began('live'), COMMIT, asked), remembered],
      [after(asked, { kind: 'takenUp', revision: 'locals/y' }), { ...remembered, takenUp: true }],
      [after(asked, { kind: 'takenUp', revision: 'locals/x' }), remembered],
      [after(asked, { kind: 'dropped', revision: 'locals/y' }), undefined],
      [after(asked, { kind: 'dropped', revision: 'locals/x' }), remembered],
      [after(asked, began('live')), undefined],
      [after(asked, began('reboot')), undefined],
      [after(asked, reboot), undefined],
    ] as const) {
      assert.deepEqual(state.asked, expected);
      assert.equal(neededBy(state).has('locals/y'), expected !== undefined);
      assert.deepEqual(bootState.parse(JSON.parse(JSON.stringify(state))), state);
    }
  });

  it('reads what berth pack writes, and what it wrote itself', () => {
    assert.deepEqual(bootState.parse({ revision: '0' }), { revision: '0' });
    const state = after(began('live'), { kind: 'held', sinceMs: 7 });
    assert.deepEqual(bootState.parse(JSON.parse(JSON.stringify(state))), state);
  });

  const name = fc.constantFrom('0', '1', 'locals/x', 'locals/y');
  const event: fc.Arbitrary<BootEvent> = fc.oneof(
    fc.record({
      kind: fc.constant('began' as const),
      revision: name,
      way: fc.constantFrom('reboot' as const, 'live' as const),
      once: fc.boolean(),
      carried: fc.constant({}),
      nowMs: fc.nat(),
    }),
    fc.record({
      kind: fc.constant('booted' as const),
      life: fc.constantFrom('a', 'b'),
      alive: fc.boolean(),
      nowMs: fc.nat(),
    }),
    fc.record({ kind: fc.constant('asked' as const), revision: name, once: fc.boolean(), commit: fc.boolean() }),
    fc.record({ kind: fc.constant('dropped' as const), revision: name }),
    fc.constant({ kind: 'opened' as const, nowMs: 1 }),
    fc.constant({ kind: 'held' as const, sinceMs: 1 }),
    fc.constant(COMMIT),
    fc.constant(FAIL),
  );

  it('never tries again by itself what failed, and always has something tested to go back to', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        let state: BootState = { revision: '0' };
        const tested = new Set(['0']);
        const forbidden = new Set<string>();
        for (const each of events) {
          if (each.kind === 'began') forbidden.delete(each.revision);
          if (each.kind === 'committed' && state.trying?.started !== undefined) tested.add(state.trying.revision);
          // Nobody commits what was not started.
          if (each.kind === 'committed' && state.trying?.started === undefined) continue;
          const step = bootStep(state, each);
          if (step.failed !== undefined && step.failed !== step.state.revision) forbidden.add(step.failed);
          state = step.state;
          assert.ok(tested.has(state.revision), `${state.revision} was never committed`);
          assert.ok(!forbidden.has(runningOf(state)), `${runningOf(state)} failed and runs again`);
          assert.ok(neededBy(state).has(runningOf(state)));
        }
        // A device whose power goes again and again ends with what was committed last.
        const cut: BootEvent = { kind: 'booted', life: 'z', alive: false, nowMs: 0 };
        const settled = [cut, cut, cut].reduce((current, each) => bootStep(current, each).state, state);
        assert.equal(runningOf(settled), state.revision);
        assert.equal(settled.trying, undefined);
      }),
    );
  });
});
