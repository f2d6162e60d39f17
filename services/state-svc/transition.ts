// What becomes of containers when one revision follows another: who stays, who stops, who starts, or whether everything has to
// start over. Pure.
import type { Revision } from '../../shared/revision/revision.ts';

export interface TransitionSide {
  /** The state JSON, parsed. */
  readonly document: unknown;
  readonly revision: Revision;
}

export type Transition =
  /** `reason` is for people. */
  | { readonly kind: 'reboot'; readonly reason: string }
  /** All of them in alphabetical order; changed ones both stop and start. */
  | {
      readonly kind: 'live';
      readonly keep: readonly string[];
      readonly stop: readonly string[];
      readonly start: readonly string[];
    };

/**
 * A reboot when anything changed in bsp, at the root of the state, or in a container (or its _config) with restart policy
 * `system`. Signatures, and folders of no container, are nothing that runs.
 */
export function transitionBetween(before: TransitionSide, after: TransitionSide): Transition {
  const plans = [before, after].map(({ revision }) => new Map(revision.containers.map((plan) => [plan.name, plan])));
  const [old = new Map(), fresh = new Map()] = plans;
  const names = [...new Set([...old.keys(), ...fresh.keys()])].sort();
  const changed = new Set<string>();
  for (const key of changedKeys(before.document, after.document)) {
    const [first = '', second = '', ...rest] = key.split('/');
    if (first === '_sigs') continue;
    // A file at the root, or a folder's own settings for the board.
    if (second === '' || first === 'bsp' || (first === '_config' && second === 'bsp')) {
      return { kind: 'reboot', reason: `${key} changed` };
    }
    changed.add(first === '_config' && rest.length > 0 ? second : first);
  }
  for (const name of names) {
    // What depends on other containers: the group, where none is named, and the objects that an extension lies over.
    if (canonical(old.get(name)) !== canonical(fresh.get(name))) changed.add(name);
  }
  const system = names.find(
    (name) => changed.has(name) && plans.some((side) => side.get(name)?.restartPolicy === 'system'),
  );
  if (system !== undefined)
    return { kind: 'reboot', reason: `container ${system} changed, whose restart policy is system` };
  return {
    kind: 'live',
    keep: names.filter((name) => !changed.has(name)),
    stop: names.filter((name) => changed.has(name) && old.has(name)),
    start: names.filter((name) => changed.has(name) && fresh.has(name)),
  };
}

function changedKeys(before: unknown, after: unknown): readonly string[] {
  const [old, fresh] = [entriesOf(before), entriesOf(after)];
  return [...new Set([...old.keys(), ...fresh.keys()])].filter(
    (key) => canonical(old.get(key)) !== canonical(fresh.get(key)),
  );
}

function entriesOf(document: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof document === 'object' && document !== null ? Object.entries(document) : []);
}

/** The same text for values that are equal, in whatever order their keys were written. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, each: unknown) =>
      typeof each === 'object' && each !== null && !Array.isArray(each)
        ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
        : each,
    ) ?? ''
  );
}
