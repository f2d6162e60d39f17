// What nobody needs any more. Pure.

export interface StoredStep {
  readonly name: string;
  readonly arrivedMs: number;
  /** It was put, perhaps checked, and never run. */
  readonly isNew: boolean;
}

export interface KeptObject {
  readonly sha256: string;
  /** Names of its content: one when no revision has it. */
  readonly links: number;
  readonly modifiedMs: number;
}

export interface GarbageRules {
  /** That run, are tried, or are what to roll back to. */
  readonly needed: ReadonlySet<string>;
  readonly keepFactory: boolean;
  /** A revision that came within the last `deferMs` is about to be run, an object for a revision that comes as well. */
  readonly deferMs: number;
  readonly nowMs: number;
  /** Objects that no revision has go however lately they came. */
  readonly takesFreshObjects: boolean;
}

const FACTORY = '0';

/** A clock that was set back makes nothing old. */
const isRecent = (sinceMs: number, { nowMs, deferMs }: GarbageRules): boolean => nowMs - sinceMs < deferMs;

export function garbageSteps(steps: readonly StoredStep[], rules: GarbageRules): readonly string[] {
  return steps
    .filter(({ name }) => !rules.needed.has(name) && !(rules.keepFactory && name === FACTORY))
    .filter(({ isNew, arrivedMs }) => !(isNew && isRecent(arrivedMs, rules)))
    .map(({ name }) => name);
}

/**
 * To be asked once the revisions are gone. `expected`: objects that an upload under way, a state that is being checked, or one of the
 * revisions that stay names.
 */
export function garbageObjects(
  objects: readonly KeptObject[],
  expected: ReadonlySet<string>,
  rules: GarbageRules,
): readonly string[] {
  return objects
    .filter(({ sha256, links }) => links === 1 && !expected.has(sha256))
    .filter(({ modifiedMs }) => rules.takesFreshObjects || !isRecent(modifiedMs, rules))
    .map(({ sha256 }) => sha256);
}
