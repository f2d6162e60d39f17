// The order of a boot as a pure function: given where every container is, which groups may go and which containers may be
// mounted and started now. A group's turn comes when every goal of all earlier groups was met or its time had run out.
import { goalMet, type Member } from './group-status.ts';

export interface OrderedGroup {
  readonly name: string;
  readonly timeoutMs: number;
}

export interface OrderedContainer extends Member {
  readonly name: string;
  readonly group: string;
  /** Stopped by the user, or its group's time ran out: nobody waits for its goal. */
  readonly waived: boolean;
  /** Its start is under way, whatever its status says. */
  readonly busy: boolean;
  /** Its first start of this boot was tried already; what comes after is recovery's or the user's. */
  readonly tried: boolean;
}

/** Groups [0, passed) are behind us; the group at `passed` has its turn since `sinceMs`. Never goes back. */
export interface BootProgress {
  readonly passed: number;
  readonly sinceMs: number;
}

export interface PassedGroup {
  readonly name: string;
  /** Containers whose goal was not met when the group's time ran out; empty when all were. */
  readonly missed: readonly string[];
}

export interface OrderStep {
  readonly progress: BootProgress;
  /** Groups whose wait ended with this step, in order. */
  readonly passed: readonly PassedGroup[];
  /** When to look again at the latest if nothing changes; undefined: only when something changes. */
  readonly lookAgainMs: number | undefined;
}

/** Starts under way at a time. Half of a start is waiting, for the kernel, for lxc-start, for other services: two a core. */
export function startLimit(cores: number): number {
  return 2 * cores;
}

/** `nowMs` never smaller than `progress.sinceMs`. */
export function advance(
  progress: BootProgress,
  groups: readonly OrderedGroup[],
  containers: readonly OrderedContainer[],
  nowMs: number,
): OrderStep {
  const passed: PassedGroup[] = [];
  let current = progress;
  for (let group = groups[current.passed]; group !== undefined; group = groups[current.passed]) {
    const missed = unmet(group.name, containers);
    const deadlineMs = current.sinceMs + group.timeoutMs;
    if (missed.length > 0 && nowMs < deadlineMs) return { progress: current, passed, lookAgainMs: deadlineMs };
    passed.push({ name: group.name, missed });
    current = { passed: current.passed + 1, sinceMs: nowMs };
  }
  return { progress: current, passed, lookAgainMs: undefined };
}

/**
 * Containers to start now: of groups whose turn has come, at most `limit` under way at a time, earlier groups first, in alphabetical
 * order. Also those of a group whose time ran out before they could be started: the wait for them is over, their turn is not.
 */
export function startable(
  progress: BootProgress,
  groups: readonly OrderedGroup[],
  containers: readonly OrderedContainer[],
  limit: number,
): readonly string[] {
  const free = limit - containers.filter((container) => container.busy).length;
  const waiting = free > 0 ? containers.filter(mayStart) : [];
  // Nearly always, and this is asked with every change of a container.
  if (waiting.length === 0) return [];
  return groups
    .slice(0, progress.passed + 1)
    .flatMap(({ name }) =>
      waiting
        .filter((container) => container.group === name)
        .map(nameOf)
        .sort(),
    )
    .slice(0, free);
}

/** Containers of the groups before this one that lost their goal while nobody waits for their time to run out. */
export function blockers(
  group: string,
  groups: readonly OrderedGroup[],
  containers: readonly OrderedContainer[],
): readonly string[] {
  const earlier = groups.slice(0, Math.max(0, indexOf(groups, group))).map((each) => each.name);
  return earlier.flatMap((name) => unmet(name, containers));
}

/** All that `advance`, `startable` and `blockers` make of a container, as text: while it is the same, so are their answers but for time. */
export function concernOf(container: OrderedContainer): string {
  return `${container.waived || goalMet(container)} ${container.busy} ${mayStart(container)}`;
}

function mayStart(container: OrderedContainer): boolean {
  return container.status === 'INSTALLED' && !container.busy && !container.tried;
}

function unmet(group: string, containers: readonly OrderedContainer[]): readonly string[] {
  return containers
    .filter((container) => container.group === group && !container.waived && !goalMet(container))
    .map(nameOf);
}

function nameOf({ name }: OrderedContainer): string {
  return name;
}

function indexOf(groups: readonly OrderedGroup[], name: string): number {
  return groups.findIndex((group) => group.name === name);
}
