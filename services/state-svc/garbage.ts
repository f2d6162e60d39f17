// What nobody needs any more. Pure.
import { FACTORY } from '../../shared/schema/names.ts';

export interface StoredStep {
  readonly name: string;
  /** Since it came, milliseconds. */
  readonly ageMs: number;
  /** It was put, perhaps checked, and never run. */
  readonly isNew: boolean;
}

export interface KeptObject {
  readonly sha256: string;
  /** Names of its content: one when no revision has it. */
  readonly links: number;
  /** As of a step. */
  readonly ageMs: number;
}

export interface GarbageRules {
  /** That run, are tried, or are what to roll back to. */
  readonly needed: ReadonlySet<string>;
  readonly keepFactory: boolean;
  /** A revision that came within the last `deferMs` is about to be run, an object for a revision that comes as well. */
  readonly deferMs: number;
  /** Objects that no revision has go however lately they came. */
  readonly takesFreshObjects: boolean;
}

export function garbageSteps(steps: readonly StoredStep[], rules: GarbageRules): readonly string[] {
  return steps
    .filter(({ name }) => !rules.needed.has(name) && !(rules.keepFactory && name === FACTORY))
    .filter(({ isNew, ageMs }) => !(isNew && ageMs < rules.deferMs))
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
    .filter(({ ageMs }) => rules.takesFreshObjects || ageMs >= rules.deferMs)
    .map(({ sha256 }) => sha256);
}
