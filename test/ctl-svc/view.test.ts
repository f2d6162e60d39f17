// The view as a state machine: events and snapshots in any order end in the list that state-svc has.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { advance, emptyView, type View, type ViewEvent } from '../../services/ctl-svc/view.ts';
import type { ContainerRow } from '../../shared/schema/api.ts';
import { containerRow, groupRow } from './rows.ts';

const play = (events: readonly ViewEvent[], from: View = emptyView) => {
  let view = from;
  const effects = events.map((event) => {
    const step = advance(view, event);
    view = step.view;
    return step.effect;
  });
  return { view, effects };
};
const snapshot = (...containers: ContainerRow[]): ViewEvent => ({
  kind: 'snapshotTaken',
  containers,
  groups: [groupRow('app')],
});
const changed = (container: ContainerRow): ViewEvent => ({ kind: 'containerChanged', container });
const outdated: ViewEvent = { kind: 'outdated' };
const restartsOf = (view: View) => [...(view.rows?.containers.values() ?? [])].map((row) => [row.name, row.restarts]);

const a0 = containerRow('a');
const a1 = containerRow('a', { restarts: 1 });
const b0 = containerRow('b');

describe('ctl.view', () => {
  it('has no rows before its first snapshot, and takes one at once', () => {
    const { view, effects } = play([outdated]);
    assert.equal(view.rows, undefined);
    assert.deepEqual(effects, ['takeSnapshot']);
  });

  it('lets an event win over the snapshot that it overtook', () => {
    const { view, effects } = play([outdated, changed(a1), snapshot(a0, b0)]);
    assert.deepEqual(restartsOf(view), [
      ['a', 1],
      ['b', 0],
    ]);
    assert.equal(effects.at(-1), 'none');
  });

  it('keeps the order of the list when a row changes', () => {
    const { view } = play([outdated, snapshot(b0, a0), changed(a1), changed(b0)]);
    assert.deepEqual(restartsOf(view), [
      ['b', 0],
      ['a', 1],
    ]);
  });

  it('takes the lists anew when a change is about a row it does not know, and drops what is not in them', () => {
    const idle = play([outdated, snapshot(a0), changed(b0), snapshot(a0)]);
    assert.deepEqual(idle.effects, ['takeSnapshot', 'none', 'takeSnapshot', 'none']);
    assert.deepEqual(restartsOf(idle.view), [['a', 0]]);
    const underWay = play([outdated, changed(b0), snapshot(a0), snapshot(a0)]);
    assert.deepEqual(underWay.effects, ['takeSnapshot', 'none', 'takeSnapshot', 'none']);
    assert.deepEqual(restartsOf(underWay.view), [['a', 0]]);
  });

  it('has one snapshot under way at most, and one more when that was outdated', () => {
    const { effects } = play([outdated, outdated, outdated, snapshot(a0), snapshot(a0)]);
    assert.deepEqual(effects, ['takeSnapshot', 'none', 'none', 'takeSnapshot', 'none']);
  });

  it('keeps serving the old rows when a snapshot fails', () => {
    const { view, effects } = play([outdated, snapshot(a0), outdated, { kind: 'snapshotFailed' }]);
    assert.deepEqual(restartsOf(view), [['a', 0]]);
    assert.equal(effects.at(-1), 'retryLater');
  });

  it('ends with the truth, however changes and an answered snapshot interleave', () => {
    const change = fc.record({ name: fc.constantFrom('a', 'b'), restarts: fc.integer({ min: 1, max: 1000 }) });
    const rows = fc.array(change, { maxLength: 10 });
    fc.assert(
      fc.property(rows, rows, rows, (before, between, after) => {
        // state-svc computes its answer after `before`, and sends it after `between`.
        const truth = new Map([a0, b0].map((row) => [row.name, row]));
        const tell = (list: readonly { name: string; restarts: number }[]): ViewEvent[] =>
          list.map(({ name, restarts }) => {
            const row = containerRow(name, { restarts });
            truth.set(name, row);
            return changed(row);
          });
        const events = [outdated, ...tell(before)];
        const answer = snapshot(...truth.values());
        events.push(...tell(between), answer, ...tell(after));
        const { view } = play(events);
        assert.deepEqual(view.rows?.containers, truth);
      }),
    );
  });
});
