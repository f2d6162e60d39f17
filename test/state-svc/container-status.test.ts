import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  ALLOWED_FROM,
  CONTAINER_EVENTS,
  type ContainerEvent,
  FULFILLED_IN,
  TRANSITIONS,
  transition,
} from '../../services/state-svc/container-status.ts';
import { type ContainerAction, STATUSES, type Status } from '../../shared/schema/api.ts';

function walk(from: Status, events: readonly ContainerEvent[]): readonly Status[] {
  const seen: Status[] = [from];
  for (const event of events) seen.push(transition(seen.at(-1) ?? from, event)?.state ?? seen.at(-1) ?? from);
  return seen;
}

describe('container status', () => {
  it('goes from INSTALLED to READY as the documentation draws it', () => {
    assert.deepEqual(walk('INSTALLED', ['mounted', 'held', 'starting', 'started', 'signalled']), [
      'INSTALLED',
      'MOUNTED',
      'BLOCKED',
      'STARTING',
      'STARTED',
      'READY',
    ]);
  });

  it('stops through STOPPING and starts anew from INSTALLED', () => {
    assert.deepEqual(walk('READY', ['stop', 'stopped', 'begin']), ['READY', 'STOPPING', 'STOPPED', 'INSTALLED']);
  });

  it('recovers through RECOVERING', () => {
    assert.deepEqual(walk('STARTED', ['crashed', 'begin', 'mounted']), [
      'STARTED',
      'RECOVERING',
      'INSTALLED',
      'MOUNTED',
    ]);
  });

  it('has one row per status and event', () => {
    const keys = TRANSITIONS.map(([from, event]) => `${from} ${event}`);
    assert.equal(new Set(keys).size, keys.length);
  });

  it('never reaches READY but by a signal, nor leaves STOPPING but by the end of the stop', () => {
    fc.assert(
      fc.property(fc.constantFrom(...STATUSES), fc.constantFrom(...CONTAINER_EVENTS), (status, event) => {
        const next = transition(status, event)?.state ?? status;
        if (next === 'READY' && status !== 'READY') assert.equal(event, 'signalled');
        if (status === 'STOPPING' && next !== 'STOPPING') assert.equal(event, 'stopped');
      }),
    );
  });

  it('stops counting uptime with every transition out of STARTED or READY that is no signal, and with a stop of what is mounted', () => {
    for (const [from, event, to, effects] of TRANSITIONS) {
      const ran = from === 'STARTED' || from === 'READY' || (from === 'MOUNTED' && event === 'stop');
      const runs = to === 'STARTED' || to === 'READY';
      assert.equal(effects.includes('unwatch'), ran && !runs, `${from} ${event}`);
    }
  });

  it('allows a stop exactly where the table knows one', () => {
    for (const status of STATUSES) {
      assert.equal(ALLOWED_FROM.stop.includes(status), transition(status, 'stop') !== undefined, status);
      assert.equal(ALLOWED_FROM.start.includes(status), transition(status, 'begin') !== undefined, status);
    }
  });

  it('takes a stop in each status, and a start in each that one leads to or comes from', () => {
    const taken = (action: ContainerAction) =>
      STATUSES.filter((status) => ALLOWED_FROM[action].includes(status) !== FULFILLED_IN[action].includes(status));
    assert.deepEqual(taken('stop'), STATUSES);
    const refused = STATUSES.filter((status) => !taken('start').includes(status));
    assert.deepEqual(refused, ['INSTALLED', 'MOUNTED', 'BLOCKED', 'STOPPING']);
  });
});
