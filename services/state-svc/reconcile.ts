// Brings what state-svc believes in line with what is: after its own start from nothing, after lost events by difference.
import { allPages } from '../../shared/ipc/page.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Carried } from './boot-state.ts';
import type { Clock } from './clock.ts';
import type { Container } from './container.ts';
import { STOP_GRACE_MS } from './container-life.ts';
import { fewAtATime } from './few-at-a-time.ts';
import type { IntentStore } from './intent-store.ts';
import type { Ask, Peers } from './peers.ts';
import { type Actual, standingOf, strangers } from './standing.ts';
import { tearDown } from './start-pipeline.ts';

export interface ReconcileContext {
  readonly peers: Peers;
  readonly ask: Ask;
  readonly log: Logger;
  readonly clock: Clock;
  readonly intents: IntentStore;
  readonly revision: string;
  readonly carried: Carried;
  readonly sameLife: boolean;
  readonly containers: readonly Container[];
}

/** Adoptions ask for leases and interfaces, and ipam-svc writes what comes together in one go; a stop may take its whole grace. */
const AT_A_TIME = 32;

/**
 * What runs and belongs stays untouched, what does not belong is taken away; who is adopted already is left alone. Rejects, before
 * anything was done, when lxc-svc or net-svc cannot be asked.
 */
export async function adoptAll(context: ReconcileContext): Promise<void> {
  const { carried, containers, intents, log, revision, sameLife } = context;
  const actual = await listActual(context);
  const attached = await listAttached(context);
  const planned = new Set(containers.map((container) => container.plan.name));
  const foreign = strangers(revision, carried, planned, actual, attached);
  await fewAtATime(foreign, AT_A_TIME, async (name) => {
    log.warn(`container ${name} is not of revision ${revision}: it is stopped and removed`);
    const left = await tearDown(name, STOP_GRACE_MS, attached.includes(name), context);
    if (left.length > 0) log.error(`container ${name} could not be removed: ${left.join('; ')}`);
  });
  const unknown = containers.filter(({ adopted }) => !adopted);
  await fewAtATime(unknown, AT_A_TIME, (container) => {
    const { name } = container.plan;
    const isGone = foreign.includes(name);
    const found = isGone ? undefined : actual.find((each) => each.container === name);
    const isAttached = !isGone && attached.includes(name);
    const standing = standingOf(container.plan, intents.get(name), found, isAttached, sameLife && !isGone);
    return container.adopt(standing, found);
  });
}

/** Whether anything of a revision is there: mounted, or running. Rejects when lxc-svc cannot be asked. */
export async function somethingLives(context: Pick<ResyncContext, 'ask' | 'peers'>): Promise<boolean> {
  return (await listActual(context)).some(({ mounted, running }) => mounted || running !== undefined);
}

export interface ResyncContext {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly peers: { readonly lxc: Pick<Peers['lxc'], 'listContainers'> };
  readonly ask: Ask;
  readonly log: Logger;
  readonly containers: readonly Pick<Container, 'plan' | 'run' | 'exited'>[];
}

/** After lost exit events: whoever is believed to run and does not has ended. Never rejects. */
export async function resync(context: ResyncContext): Promise<void> {
  try {
    const actual = await listActual(context);
    for (const container of context.containers) {
      const { run } = container;
      const found = actual.find((each) => each.container === container.plan.name);
      if (run === undefined || found?.running?.pid === run.pid) continue;
      const exit = found?.exit;
      container.exited(
        exit?.pid === run.pid ? exit : { pid: run.pid, status: { kind: 'unknown' }, atMs: context.clock.nowMs() },
      );
    }
  } catch (error) {
    context.log.error(`exits were lost and lxc-svc could not be asked: ${String(error)}`);
  }
}

/** Rejects when lxc-svc cannot be asked. */
export async function listActual({ ask, peers }: Pick<ResyncContext, 'ask' | 'peers'>): Promise<readonly Actual[]> {
  return await allPages(async (after) => {
    const answer = await ask(() => peers.lxc.listContainers({ after }));
    return answer.ok ? { rows: answer.value.containers, next: answer.value.next } : { rows: [], next: undefined };
  });
}

/** Rejects when net-svc cannot be asked. */
export async function listAttached({
  ask,
  peers,
}: Pick<ReconcileContext, 'ask' | 'peers'>): Promise<readonly string[]> {
  const all = await allPages(async (after) => {
    const answer = await ask(() => peers.net.listAttachments({ after }));
    return answer.ok ? { rows: answer.value.attachments, next: answer.value.next } : { rows: [], next: undefined };
  });
  return all.map((attachment) => attachment.container);
}
