// What a group, or the whole revision, shows as its status: READY, unless some member has not met its goal; then the lowest
// status among those members.
import { STATUSES, type Status, type StatusGoal } from '../../shared/schema/api.ts';

export interface Member {
  readonly status: Status;
  readonly goal: StatusGoal;
}

const MET: Readonly<Record<StatusGoal, readonly Status[]>> = {
  MOUNTED: ['MOUNTED', 'BLOCKED', 'STARTING', 'STARTED', 'READY'],
  STARTED: ['STARTED', 'READY'],
  READY: ['READY'],
};

export function goalMet(member: Member): boolean {
  return MET[member.goal].includes(member.status);
}

/** Of no members at all: READY. Asked with every change of a container, of all of them. */
export function commonStatus(members: Iterable<Member>): Status {
  let lowest: number = STATUSES.length;
  for (const member of members) {
    if (!goalMet(member)) lowest = Math.min(lowest, STATUSES.indexOf(member.status));
  }
  return STATUSES[lowest] ?? 'READY';
}
