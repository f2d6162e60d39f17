// From the storage folder to a revision that may run: everything is checked, every problem found, before anybody else is asked
// for anything.

import type { Problem, Revision } from '../../shared/revision/revision.ts';
import { parseState } from '../../shared/revision/validate.ts';
import { hasHostLink } from './host-links.ts';
import { objectsOf, type RevisionStore } from './revision-store.ts';
import type { Occasion } from './signature-check.ts';

export interface Candidate {
  /** `undefined` when not even its name could be read. */
  readonly name: string | undefined;
  readonly document: unknown;
  readonly revision: Revision | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

export type StateReader = Pick<RevisionStore, 'readState' | 'readObject'>;

/** The quick part: names, documents, rules. Nothing is hashed or written. `claim`: is given the state before the objects that it names are read. */
export async function readCandidate(
  store: StateReader,
  name: string,
  claim?: RevisionStore['claim'],
): Promise<Candidate> {
  const state = await store.readState(name);
  if (!state.ok) return refused(name, state.problems);
  await claim?.(state.value);
  const candidate = { name, document: state.value };
  const parsed = parseState(state.value, (_path, digest) => store.readObject(digest), hasHostLink);
  return parsed.ok
    ? { ...candidate, revision: parsed.revision, problems: [], warnings: parsed.warnings }
    : { ...candidate, revision: undefined, problems: parsed.problems, warnings: [] };
}

/**
 * The slow part: signatures, the hash of every object, then the checkout. Answers all problems: those of signatures, of the quick part,
 * of objects.
 */
export async function verifyCandidate(
  store: RevisionStore,
  candidate: Candidate,
  occasion: Occasion = 'known',
): Promise<readonly Problem[]> {
  const unsigned = await store.verifySignatures(candidate.document, occasion);
  // Also for a document that was refused: whoever repairs it wants to know of its objects in the same go.
  const damaged = await store.verifyObjects(objectsOf(candidate.document), occasion);
  const problems = [...unsigned, ...candidate.problems, ...damaged];
  const { name, revision } = candidate;
  if (problems.length > 0 || name === undefined || revision === undefined) return problems;
  return store.checkOut(name, revision.objects);
}

/** Of which nothing else is known. */
export function refused(name: string | undefined, problems: readonly Problem[]): Candidate {
  return { name, document: undefined, revision: undefined, problems, warnings: [] };
}
