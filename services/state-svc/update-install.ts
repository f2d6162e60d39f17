// Whether a revision can be run at all: the check that every update begins with.
import type { Problem } from '../../shared/revision/revision.ts';
import type { RevisionStore } from './revision-store.ts';
import type { FailedStage } from './step-progress.ts';
import { type Candidate, readCandidate, verifyCandidate } from './verify-revision.ts';

export type Installed =
  | { readonly ok: true; readonly candidate: Candidate }
  | { readonly ok: false; readonly stage: FailedStage; readonly problems: readonly Problem[] };

/** Everything is verified and linked when it resolves. */
export async function installRevision(store: RevisionStore, name: string): Promise<Installed> {
  const candidate = await readCandidate(store, name, store.claim);
  const problems = await verifyCandidate(store, candidate, 'new');
  if (problems.length === 0) return { ok: true, candidate };
  return { ok: false, stage: stageOf(problems), problems };
}

/** Who may not be trusted is not asked what the state says; a state that is wrong is wrong whatever its objects are. */
export function stageOf(problems: readonly Problem[]): FailedStage {
  if (problems.some(({ code }) => code === 'SIGNATURE_INVALID')) return 'badSignature';
  if (problems.some(({ code }) => code === 'NOT_COVERED')) return 'notCovered';
  if (problems.some(({ code }) => code === 'HOOK_FAILED')) return 'rolledBack';
  if (problems.some(({ code }) => code === 'NO_SPACE')) return 'noSpace';
  const isOfObjects = problems.every(({ code }) => code.startsWith('OBJECT_') || code === 'CHECKOUT_FAILED');
  return isOfObjects ? 'badObject' : 'badState';
}
