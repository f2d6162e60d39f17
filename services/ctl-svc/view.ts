// ctl-svc's own copy of the containers and groups: how events and snapshots of state-svc become one list. Pure.
import type { ContainerRow, GroupRow } from '../../shared/schema/api.ts';

/** In state-svc's order, by name. */
export interface Rows {
  readonly containers: ReadonlyMap<string, ContainerRow>;
  readonly groups: ReadonlyMap<string, GroupRow>;
}

export interface View {
  /** Undefined until the first snapshot. */
  readonly rows: Rows | undefined;
  /** What events said since the snapshot under way was asked for: newer than it, whenever it arrives. */
  readonly since: Rows | undefined;
  /** The snapshot under way will not do: another one must follow it. */
  readonly outdated: boolean;
}

export type ViewEvent =
  | { readonly kind: 'containerChanged'; readonly container: ContainerRow }
  | { readonly kind: 'groupChanged'; readonly group: GroupRow }
  /** Another revision, events lost, state-svc restarted, start of ctl-svc, or time to try again. */
  | { readonly kind: 'outdated' }
  | {
      readonly kind: 'snapshotTaken';
      readonly containers: readonly ContainerRow[];
      readonly groups: readonly GroupRow[];
    }
  | { readonly kind: 'snapshotFailed' };

export type ViewEffect = 'none' | 'takeSnapshot' | 'retryLater';

export interface Step {
  readonly view: View;
  readonly effect: ViewEffect;
}

const NO_ROWS: Rows = { containers: new Map(), groups: new Map() };

export const emptyView: View = { rows: undefined, since: undefined, outdated: false };

/**
 * | event            | no snapshot under way                  | snapshot under way                                      |
 * | containerChanged | known: replaced; unknown: takeSnapshot | replaced, and kept to be laid over the snapshot         |
 * | groupChanged     | the same                               | the same                                                |
 * | outdated         | takeSnapshot                           | one more after it                                       |
 * | snapshotTaken    | (cannot be)                            | becomes the rows; takeSnapshot if outdated or a change was about a row it lacks |
 * | snapshotFailed   | (cannot be)                            | retryLater; the old rows stay                           |
 */
export function advance(view: View, event: ViewEvent): Step {
  switch (event.kind) {
    case 'containerChanged':
      return change(view, { containers: new Map([[event.container.name, event.container]]), groups: NO_ROWS.groups });
    case 'groupChanged':
      return change(view, { containers: NO_ROWS.containers, groups: new Map([[event.group.name, event.group]]) });
    case 'outdated':
      return view.since === undefined ? fetch(view) : { view: { ...view, outdated: true }, effect: 'none' };
    case 'snapshotTaken':
      return settle(view, { containers: byName(event.containers), groups: byName(event.groups) });
    case 'snapshotFailed':
      return { view: { rows: view.rows, since: undefined, outdated: false }, effect: 'retryLater' };
  }
}

function fetch(view: View): Step {
  return { view: { rows: view.rows, since: NO_ROWS, outdated: false }, effect: 'takeSnapshot' };
}

function change(view: View, changed: Rows): Step {
  const rows = view.rows === undefined ? undefined : overlay(view.rows, changed);
  if (view.since !== undefined) {
    return { view: { ...view, rows, since: union(view.since, changed) }, effect: 'none' };
  }
  // Before the first snapshot was asked for there is nothing to be wrong about.
  if (view.rows === undefined) return { view, effect: 'none' };
  return knowsAll(view.rows, changed) ? { view: { ...view, rows }, effect: 'none' } : fetch({ ...view, rows });
}

function settle(view: View, snapshot: Rows): Step {
  const since = view.since ?? NO_ROWS;
  const settled: View = { rows: overlay(snapshot, since), since: undefined, outdated: false };
  return view.outdated || !knowsAll(snapshot, since) ? fetch(settled) : { view: settled, effect: 'none' };
}

/** Replaces rows that exist, in their place; a row that is not in the list belongs to another revision. */
function overlay(rows: Rows, changed: Rows): Rows {
  return {
    containers: replaceKnown(rows.containers, changed.containers),
    groups: replaceKnown(rows.groups, changed.groups),
  };
}

function replaceKnown<R>(rows: ReadonlyMap<string, R>, changed: ReadonlyMap<string, R>): ReadonlyMap<string, R> {
  const known = [...changed].filter(([name]) => rows.has(name));
  if (known.length === 0) return rows;
  const replaced = new Map(rows);
  for (const [name, row] of known) replaced.set(name, row);
  return replaced;
}

function union(rows: Rows, changed: Rows): Rows {
  return {
    containers: new Map([...rows.containers, ...changed.containers]),
    groups: new Map([...rows.groups, ...changed.groups]),
  };
}

function knowsAll(rows: Rows, changed: Rows): boolean {
  return (
    [...changed.containers.keys()].every((name) => rows.containers.has(name)) &&
    [...changed.groups.keys()].every((name) => rows.groups.has(name))
  );
}

function byName<R extends { readonly name: string }>(rows: readonly R[]): ReadonlyMap<string, R> {
  return new Map(rows.map((row) => [row.name, row]));
}
