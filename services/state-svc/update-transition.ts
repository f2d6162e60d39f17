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

/**
 * What each container that stays was mounted from, and what runs until now: until the next one does, it may be mounted from that.
 * `known`: the same of what runs now, which holds on for containers that it was refused too early to adopt.
 */
export function carriedOver(
  transition: Transition,
  current: Pick<RunningRevision, 'name' | 'find'>,
  known: Carried,
): Carried {
  if (transition.kind !== 'live') return {};
  const sourcesOf = (name: string): readonly string[] => {
    const container = current.find(name);
    return container?.adopted === false ? (known[name] ?? []) : [container?.mountedFrom ?? current.name];
  };
  return Object.fromEntries(transition.keep.map((name) => [name, [...new Set([...sourcesOf(name), current.name])]]));
}
