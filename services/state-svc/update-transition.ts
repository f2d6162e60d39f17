// How one revision follows another that runs or ran, and what is remembered of containers that run on. Pure.
import { type BootState, type Carried, runningOf } from './boot-state.ts';
import { type Transition, transitionBetween } from './transition.ts';
import type { Candidate } from './verify-revision.ts';

/** Of the revisions that a container may run since: it has not been mounted anew for that many updates. */
const MAX_CARRIED = 8;

export function betweenCandidates(before: Candidate, after: Candidate): Transition {
  if (before.revision === undefined || after.revision === undefined)
    return { kind: 'reboot', reason: 'one of them is refused' };
  return transitionBetween(
    { document: before.document, revision: before.revision },
    { document: after.document, revision: after.revision },
  );
}

/** The revisions that each container that stays may have been mounted from. `current`: what runs until now. */
export function carriedOver(transition: Transition, boot: BootState, current: string): Carried {
  if (transition.kind !== 'live') return {};
  return Object.fromEntries(
    transition.keep.map((name) => {
      const sources = [...(boot.carried?.[name] ?? []), runningOf(boot), current];
      return [name, [...new Set(sources)].slice(-MAX_CARRIED)];
    }),
  );
}
