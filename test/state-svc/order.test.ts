import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { goalMet } from '../../services/state-svc/group-status.ts';
import {
  advance,
  type BootProgress,
  blockers,
  type OrderedContainer,
  startable,
} from '../../services/state-svc/order.ts';
import type { Status } from '../../shared/schema/api.ts';

const groups = [
  { name: 'first', timeoutMs: 1000 },
  { name: 'second', timeoutMs: 500 },
];
const container = (name: string, group: string, over: Partial<OrderedContainer> = {}): OrderedContainer => ({
  name,
  group,
  goal: 'STARTED',
  status: 'INSTALLED',
  waived: false,
  busy: false,
  tried: false,
  ...over,
});
const start: BootProgress = { passed: 0, sinceMs: 0 };

describe('order.advance', () => {
  it('keeps a group’s turn until every goal is met', () => {
    const waiting = [container('a', 'first', { status: 'STARTING' }), container('b', 'second')];
    const step = advance(start, groups, waiting, 999);
    assert.deepEqual(step, { progress: start, passed: [], lookAgainMs: 1000 });
    const met = [container('a', 'first', { status: 'STARTED' }), container('b', 'second')];
    assert.deepEqual(advance(start, groups, met, 10), {
      progress: { passed: 1, sinceMs: 10 },
      passed: [{ name: 'first', missed: [] }],
      lookAgainMs: 510,
    });
  });

  it('goes on at the timeout and names who missed', () => {
    const step = advance(start, groups, [container('a', 'first'), container('b', 'second')], 1000);
    assert.deepEqual(step.passed, [{ name: 'first', missed: ['a'] }]);
    assert.deepEqual(step.progress, { passed: 1, sinceMs: 1000 });
  });

  it('waits for nobody whom the user stopped', () => {
    const step = advance(start, groups, [container('a', 'first', { status: 'STOPPED', waived: true })], 0);
    assert.equal(step.progress.passed, 2);
  });
});

describe('order.startable', () => {
  it('answers at most as many as may be under way, in alphabetical order', () => {
    const all = ['d', 'c', 'b', 'a'].map((name) => container(name, 'first', { busy: name === 'a' }));
    assert.deepEqual(startable(start, groups, all, 3), ['b', 'c']);
    assert.deepEqual(startable(start, groups, all, 1), []);
  });
});

// A whole boot, played with random revisions, event orders and failures.
const model = fc.record({
  groups: fc.array(fc.record({ timeoutMs: fc.nat(50) }), { minLength: 1, maxLength: 4 }),
  containers: fc.array(
    fc.record({
      group: fc.nat(3),
      goal: fc.constantFrom('MOUNTED' as const, 'STARTED' as const, 'READY' as const),
      waived: fc.boolean(),
    }),
    { maxLength: 8 },
  ),
  limit: fc.integer({ min: 1, max: 4 }),
  moves: fc.array(fc.record({ who: fc.nat(7), to: fc.constantFrom('on', 'fail', 'crash', 'wait'), ms: fc.nat(30) }), {
    maxLength: 80,
  }),
});

type Mutable = { -readonly [K in keyof OrderedContainer]: OrderedContainer[K] };
const NEXT: Partial<Record<Status, Status>> = {
  INSTALLED: 'MOUNTED',
  MOUNTED: 'STARTING',
  STARTING: 'STARTED',
  STARTED: 'READY',
};

describe('the ordering engine', () => {
  it('lets nobody be mounted before all earlier goals were met or timed out, and never more than the limit at once', () => {
    fc.assert(
      fc.property(model, (world) => {
        const named = world.groups.map(({ timeoutMs }, index) => ({ name: `g${index}`, timeoutMs }));
        const all: Mutable[] = world.containers.map(({ group, goal, waived }, index) => ({
          ...container(`c${index}`, `g${group % named.length}`),
          goal,
          waived,
          status: waived ? 'STOPPED' : 'INSTALLED',
        }));
        let now = 0;
        let progress = start;
        // Kept by the model itself: when a group's turn began, and whether it was seen complete since then.
        const began = new Map<number, number>([[0, 0]]);
        const complete = new Set<number>();
        const openTo = (index: number): boolean => {
          if (index === 0) return true;
          const before = index - 1;
          const timedOut = now >= (began.get(before) ?? Infinity) + (named[before]?.timeoutMs ?? 0);
          return openTo(before) && (complete.has(before) || timedOut);
        };
        const observe = (): void => {
          named.forEach(({ name }, index) => {
            if (!openTo(index)) return;
            if (!began.has(index)) began.set(index, now);
            if (all.every((each) => each.group !== name || each.waived || goalMet(each))) complete.add(index);
          });
        };
        const look = (): void => {
          observe();
          progress = advance(progress, named, all, now).progress;
          for (const name of startable(progress, named, all, world.limit)) {
            const chosen = all.find((each) => each.name === name);
            assert.ok(chosen !== undefined && !chosen.waived && chosen.status === 'INSTALLED');
            assert.ok(openTo(named.findIndex((group) => group.name === chosen.group)), `${name} was not due`);
            Object.assign(chosen, { busy: true, tried: true });
          }
          assert.ok(all.filter((each) => each.busy).length <= world.limit);
        };
        look();
        for (const { who, to, ms } of world.moves) {
          const target = all[who];
          if (to === 'wait' || target === undefined) now += ms;
          else if (to === 'on' && target.busy) {
            target.status = NEXT[target.status] ?? target.status;
            if (goalMet(target) || target.status === 'STARTED') target.busy = false;
          } else if (to === 'on' && target.status === 'STARTED') target.status = 'READY';
          else if (to === 'fail' && target.busy) Object.assign(target, { busy: false, status: 'STOPPED' });
          else if (to === 'crash' && goalMet(target)) target.status = 'RECOVERING';
          look();
        }
        // Nothing is forgotten: with everybody through and time enough, every group has had its turn.
        for (const each of all) each.busy = false;
        for (let round = 0; round < named.length + all.length; round += 1) {
          now += 100;
          look();
          for (const each of all) each.busy = false;
        }
        assert.equal(progress.passed, named.length);
        assert.ok(all.every((each) => each.tried || each.waived || each.status !== 'INSTALLED'));
      }),
      { numRuns: 500 },
    );
  });
});

describe('order.blockers', () => {
  it('names whoever lost its goal in an earlier group', () => {
    const all = [container('a', 'first', { status: 'RECOVERING' }), container('b', 'second', { status: 'MOUNTED' })];
    assert.deepEqual(blockers('second', groups, all), ['a']);
    assert.deepEqual(blockers('first', groups, all), []);
  });
});
