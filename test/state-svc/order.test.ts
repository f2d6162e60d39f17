import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  advance,
  type BootProgress,
  blockers,
  type OrderedContainer,
  startable,
  startLimit,
} from '../../services/state-svc/order.ts';

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

describe('order.startLimit', () => {
  it('is two starts a core, so that one computes while the other waits', () => {
    assert.deepEqual([1, 2, 4].map(startLimit), [2, 4, 8]);
  });
});

describe('order.startable', () => {
  it('answers at most as many as may be under way, in alphabetical order', () => {
    const all = ['d', 'c', 'b', 'a'].map((name) => container(name, 'first', { busy: name === 'a' }));
    assert.deepEqual(startable(start, groups, all, 3), ['b', 'c']);
    assert.deepEqual(startable(start, groups, all, 1), []);
  });

  it('has those of earlier groups first, also when their time ran out before their turn at a start', () => {
    const late = container('z', 'first', { waived: true });
    const all = [container('a', 'second'), late, container('b', 'first', { waived: true, busy: true })];
    assert.deepEqual(startable({ passed: 1, sinceMs: 1000 }, groups, all, 3), ['z', 'a']);
  });
});

describe('order.blockers', () => {
  it('names whoever lost its goal in an earlier group', () => {
    const all = [container('a', 'first', { status: 'RECOVERING' }), container('b', 'second', { status: 'MOUNTED' })];
    assert.deepEqual(blockers('second', groups, all), ['a']);
    assert.deepEqual(blockers('first', groups, all), []);
  });
});
