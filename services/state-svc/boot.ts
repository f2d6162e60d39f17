// The boot of a revision: which container may start now, which groups are behind us, who has to be held. Looks again whenever
// something changes and when a group's time runs out.
import type { Logger } from '../../shared/log/logger.ts';
import type { Revision } from '../../shared/revision/revision.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Clock } from './clock.ts';
import type { Container } from './container.ts';
import { goalMet } from './group-status.ts';
import { advance, type BootProgress, blockers, concernOf, type OrderedContainer, startable } from './order.ts';

export interface Boot {
  /** From now on groups get their turns. */
  open(): void;
  /** A container changed, or any of them: who may go now? */
  look(changed?: Container): void;
  /** Resolves when the container may go on from its mount to its start. */
  mayStart(container: Container): Promise<void>;
  /** Goals that were given up at their group's timeout and are still not met. */
  reasons(): readonly HealthReason[];
  /** No more turns. Who waits for one, and is stopped, is let go all the same. */
  close(): void;
  /** The same, and everybody who waits, or comes to wait, is let go: somebody else has the turns now. */
  handOver(): void;
}

export interface BootContext {
  readonly clock: Clock;
  readonly log: Logger;
  /** Starts under way at a time. */
  readonly limit: number;
  /** Of groups that have no timeout of their own. */
  readonly goalsTimeoutMs: number;
  /** A group's time ran out before these of its containers had met their goals. */
  onMissed(group: string, containers: readonly string[]): void;
}

interface Held {
  readonly container: Container;
  readonly deadlineMs: number;
  go(): void;
}

export function createBoot(revision: Revision, containers: readonly Container[], context: BootContext): Boot {
  const { clock, log, goalsTimeoutMs } = context;
  const groups = revision.groups.map((group) => ({
    name: group.name,
    timeoutMs: group.timeoutSeconds === undefined ? goalsTimeoutMs : group.timeoutSeconds * 1000,
  }));
  const dropped = new Set<string>();
  const held = new Set<Held>();
  let progress: BootProgress | undefined;
  let cancelTimer: () => void = () => undefined;
  let isClosed = false;
  let isHandedOver = false;

  const orderedOf = (container: Container): OrderedContainer => ({
    name: container.plan.name,
    group: container.plan.group,
    goal: container.goal,
    status: container.status,
    waived: container.userStopped || dropped.has(container.plan.name),
    busy: container.starting,
    tried: container.tried,
  });
  const ordered = (): readonly OrderedContainer[] => containers.map(orderedOf);
  /** As all of them were when they last had their turn. */
  let seen: readonly OrderedContainer[] = [];
  /** False: nobody may go who might not before. Most changes of a container on its way up are such. */
  const isNews = (changed: Container): boolean => {
    const before = seen[containers.indexOf(changed)];
    return before === undefined || concernOf(before) !== concernOf(orderedOf(changed));
  };

  const turn = (now: number): number | undefined => {
    if (progress === undefined || isClosed) return undefined;
    const present = ordered();
    seen = present;
    const step = advance(progress, groups, present, now);
    progress = step.progress;
    for (const { name, missed } of step.passed) {
      for (const container of missed) dropped.add(container);
      if (missed.length > 0)
        log.warn(`group ${name}: goals not met in time by ${missed.join(', ')}; the next group goes on`);
      if (missed.length > 0) context.onMissed(name, missed);
    }
    for (const name of startable(progress, groups, present, context.limit)) {
      containers.find((container) => container.plan.name === name)?.boot();
    }
    return step.lookAgainMs;
  };

  const release = (now: number): number | undefined => {
    if (held.size === 0) return undefined;
    let next: number | undefined;
    // No goal is met or lost by holding one or letting it go.
    const present = ordered();
    for (const waiting of held) {
      const { container, deadlineMs } = waiting;
      const waits = container.status === 'MOUNTED' || container.status === 'BLOCKED';
      const blocking = blockers(container.plan.group, groups, present);
      if (waits && blocking.length > 0 && now < deadlineMs) {
        next = Math.min(next ?? deadlineMs, deadlineMs);
        container.hold();
        continue;
      }
      if (waits && blocking.length > 0) {
        log.warn(
          `container ${container.plan.name}: goals of ${blocking.join(', ')} not met in time, starting it anyway`,
        );
      }
      held.delete(waiting);
      waiting.go();
    }
    return next;
  };

  const close = (): void => {
    isClosed = true;
    cancelTimer();
  };

  let looking = false;
  const look = (): void => {
    // A start or a hold reports its change from inside; the loop below sees it.
    if (looking) return;
    looking = true;
    cancelTimer();
    const now = clock.elapsedMs();
    const next = [turn(now), release(now)].filter((at) => at !== undefined);
    looking = false;
    if (next.length > 0) cancelTimer = clock.after(Math.max(0, Math.min(...next) - now), look);
  };

  return {
    open() {
      progress = { passed: 0, sinceMs: clock.elapsedMs() };
      look();
    },
    look(changed) {
      // Who is held may be the one that changed.
      if (changed === undefined || held.size > 0 || isNews(changed)) look();
    },
    mayStart(container) {
      if (isHandedOver) return Promise.resolve();
      const timeouts = groups.map((group) => group.timeoutMs);
      return new Promise((go) => {
        held.add({ container, deadlineMs: clock.elapsedMs() + Math.max(0, ...timeouts), go });
        look();
      });
    },
    reasons: () =>
      ordered()
        .filter((each) => dropped.has(each.name) && !goalMet(each))
        .map((each) => ({
          code: 'STATUS_GOAL_MISSED',
          subject: each.name,
          message: `has not reached ${each.goal} within the timeout of its group ${each.group}; it is ${each.status}`,
        })),
    close,
    handOver() {
      close();
      isHandedOver = true;
      for (const waiting of held) waiting.go();
      held.clear();
    },
  };
}
