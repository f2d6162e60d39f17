// What runs, and its replacement by another revision while containers run on. Knows nothing of updates: it is told what to run.

import type { ContainerPlan, Problem } from '../../shared/revision/revision.ts';
import type { Reservation } from '../../shared/schema/network.ts';
import type { Carried } from './boot-state.ts';
import { type Container, createContainer } from './container.ts';
import type { RequestReboot } from './reboot-request.ts';
import { createRunning, type Gate, type RunningContext, type RunningRevision } from './running-revision.ts';
import type { Transition } from './transition.ts';
import type { Candidate } from './verify-revision.ts';

export interface Stage {
  readonly current: RunningRevision;
  /** Shown from now on; nothing is asked of anybody yet. */
  present(candidate: Candidate): void;
  /** Takes what is presented from where it stands. Answers what it is refused for. */
  settle(carried: Carried, held: readonly Reservation[], gate: Gate): Promise<readonly Problem[]>;
  /** Stops what goes, hands on what stays, starts what comes. Answers what the new one is refused for; it is the current one all the same. */
  replace(
    candidate: Candidate,
    transition: Extract<Transition, { kind: 'live' }>,
    carried: Carried,
    held: readonly Reservation[],
    gate: Gate,
  ): Promise<readonly Problem[]>;
  /** Nothing is started any more, and nothing replaced. Resolves when what is under way of that has ended. */
  end(): Promise<void>;
}

export interface StageContext extends RunningContext {
  readonly requestReboot: RequestReboot;
  readonly requestRebootAtBoot: RequestReboot;
  /** A container of the current revision changed. */
  onChange(): void;
}

export function createStage(first: Candidate, context: StageContext): Stage {
  const { log } = context;
  let switching: Promise<void> | undefined;
  let isEnded = false;

  const make = (plan: ContainerPlan): Container =>
    createContainer(plan, {
      ...context,
      revision: () => current.name,
      drivers: { loadFor: (wanted) => current.drivers.loadFor(wanted) },
      async mayStart(container) {
        for (;;) {
          const asked = current;
          await asked.mayStart(container);
          // Whoever stops it lets it go.
          if (isEnded) await new Promise(() => undefined);
          if (switching === undefined && asked === current) return;
          await switching;
        }
      },
      poolsStand: () => current.poolsStand(plan),
      notYet: () => current.notYet(),
      changed(container) {
        current.look(container);
        context.onChange();
      },
    });
  const plansOf = ({ revision }: Candidate): readonly ContainerPlan[] => revision?.containers ?? [];
  let current = createRunning(first, plansOf(first).map(make), context);

  /** Groups in reverse. */
  const stop = async (containers: readonly Container[], before: RunningRevision): Promise<void> => {
    for (const { name } of [...(before.candidate.revision?.groups ?? [])].reverse()) {
      const members = containers.filter(({ plan }) => plan.group === name);
      const left = await Promise.all(members.map((container) => container.shutDown()));
      for (const reason of left.flat()) log.warn(`of the revision before something is left: ${reason}`);
    }
    for (const container of containers) container.close();
  };

  const ended: readonly Problem[] = [{ path: '', code: 'ENDED', message: 'everything is being stopped' }];

  return {
    get current() {
      return current;
    },
    present(candidate) {
      current = createRunning(candidate, plansOf(candidate).map(make), context);
    },
    settle: (carried, held, gate) => current.settle(carried, held, gate),
    async replace(candidate, transition, carried, held, gate) {
      if (isEnded) return ended;
      const before = current;
      let switched: () => void = () => undefined;
      switching = new Promise((resolve) => {
        switched = resolve;
      });
      try {
        before.handOver();
        await stop(
          before.containers.filter(({ plan }) => transition.stop.includes(plan.name)),
          before,
        );
        // Who stops everything stops the current ones: others would run on without their network.
        if (isEnded) return ended;
        const plans = plansOf(candidate);
        const containers = plans.map((plan) =>
          transition.keep.includes(plan.name) ? (before.find(plan.name) ?? make(plan)) : make(plan),
        );
        current = createRunning(candidate, containers, context);
        return await current.takeOver(transition.start, carried, held, gate);
      } finally {
        switching = undefined;
        switched();
        if (!isEnded) current.open();
      }
    },
    async end() {
      isEnded = true;
      current.close();
      await switching;
    },
  };
}
