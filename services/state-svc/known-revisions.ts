// What other revisions than the running one still want: addresses that are nobody else's, and containers that are not forgotten.
import type { ContainerPlan } from '../../shared/revision/revision.ts';
import type { Reservation } from '../../shared/schema/network.ts';
import { heldReservations } from './held-reservations.ts';
import { objectsOf, type RevisionStore } from './revision-store.ts';
import type { RunningRevision } from './running-revision.ts';
import { type Candidate, readCandidate, type StateReader } from './verify-revision.ts';

/** Of the revision to roll back to, while another one runs. */
export async function reservationsFor(
  running: Candidate,
  rollback: string,
  store: RevisionStore,
): Promise<readonly Reservation[]> {
  if (running.name === rollback || running.revision === undefined) return [];
  const { revision } = await readCandidate(store, rollback);
  return revision === undefined ? [] : heldReservations(running.revision, revision);
}

export interface Known {
  readonly containers: ReadonlySet<string>;
  /** Of those that can be read. */
  readonly plans: readonly ContainerPlan[];
  /** False: of one of them it cannot be read which containers it has. */
  readonly isComplete: boolean;
}

/** The containers of what runs, and of the revisions that may run from now on. */
export async function knownOf(
  running: Pick<RunningRevision, 'name' | 'containers' | 'candidate'>,
  names: Iterable<string>,
  store: StateReader,
): Promise<Known> {
  const containers = new Set(running.containers.map(({ plan }) => plan.name));
  const plans = [...(running.candidate.revision?.containers ?? [])];
  let isComplete = running.candidate.revision !== undefined;
  for (const name of names) {
    if (name === running.name) continue;
    const { document, revision } = await readCandidate(store, name);
    // Also of one that has become invalid: its containers are not forgotten for that.
    for (const path of documentPaths(document)) containers.add(path.split('/')[0] ?? '');
    plans.push(...(revision?.containers ?? []));
    isComplete &&= document !== undefined;
  }
  return { containers, plans, isComplete };
}

function documentPaths(document: unknown): readonly string[] {
  const documents = typeof document === 'object' && document !== null ? Object.keys(document) : [];
  return [...documents.filter((path) => path.endsWith('/run.json')), ...objectsOf(document).keys()];
}
