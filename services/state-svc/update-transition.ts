// How one revision follows another that runs or ran, and what is remembered of containers that run on. Pure.
import type { Carried } from './boot-state.ts';
import type { RunningRevision } from './running-revision.ts';
import { type Transition, transitionBetween } from './transition.ts';
import type { Candidate } from './verify-revision.ts';

export function betweenCandidates(before: Candidate, after: Candidate): Transition {
  if (before.revision === undefined || after.revision === undefined)
    return { kind: 'reboot', reason: 'one of them is refused' };
  return transitionBetween(
    { document: before.document, revision: before.revision },
    { document: after.document, revision: after.revision },
  );
}

/** What each container that stays was mounted from, and what runs until now: until the next one does, it may be mounted from that. */
export function carriedOver(transition: Transition, current: Pick<RunningRevision, 'name' | 'find'>): Carried {
  if (transition.kind !== 'live') return {};
  return Object.fromEntries(
    transition.keep.map((name) => [
      name,
      [...new Set([current.find(name)?.mountedFrom ?? current.name, current.name])],
    ]),
  );
}
