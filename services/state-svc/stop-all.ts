// Before a poweroff: containers in reverse group order, then whatever else is there, then the network of the pools. Goes on past errors.
import type { Revision } from '../../shared/revision/revision.ts';
import type { Container } from './container.ts';
import { STOP_GRACE_MS } from './container-life.ts';
import { fewAtATime } from './few-at-a-time.ts';
import type { Ask, Peers } from './peers.ts';
import { listActual, listAttached } from './reconcile.ts';
import { strangers } from './standing.ts';
import { describe, tearDown } from './start-pipeline.ts';

/** Each waits for its container much longer than it works: of 300 deaf ones the last is killed after 50 s. */
const STOPS_AT_A_TIME = 32;

/** Answers what could not be stopped or taken away, at most 50 of it; empty when nothing is left. Never rejects. */
export async function stopAll(
  containers: readonly Container[],
  revision: Revision | undefined,
  peers: Peers,
  ask: Ask,
): Promise<readonly string[]> {
  const reasons: string[] = [];
  for (const group of [...(revision?.groups ?? [])].reverse()) {
    const members = containers.filter((container) => container.plan.group === group.name);
    const left = await fewAtATime(members, STOPS_AT_A_TIME, (container) => container.shutDown());
    reasons.push(...members.flatMap(({ plan }, index) => (left[index] ?? []).map((each) => `${plan.name}: ${each}`)));
  }
  const known = new Set(containers.map(({ plan }) => plan.name));
  reasons.push(
    ...(await stopOthers(known, { peers, ask }).catch((fault: unknown) => [`what else runs is not known: ${fault}`])),
  );
  const network = await ask(() => peers.net.configure({ pools: [] })).catch((fault: unknown) => String(fault));
  if (typeof network === 'string') reasons.push(`pools: ${network}`);
  else if (!network.ok) reasons.push(`pools: ${describe(network.error)}`);
  return reasons.slice(0, 50).map((reason) => reason.slice(0, 500));
}

/** Of a revision that cannot be read nobody is known here, and what is there runs all the same. Rejects when that cannot be asked. */
async function stopOthers(
  known: ReadonlySet<string>,
  context: { readonly peers: Peers; readonly ask: Ask },
): Promise<readonly string[]> {
  const others = (await listActual(context)).filter(({ container }) => !known.has(container));
  const attached = await listAttached(context);
  const names = strangers('', {}, known, others, attached);
  const left = await fewAtATime(names, STOPS_AT_A_TIME, (name) =>
    tearDown(name, STOP_GRACE_MS, attached.includes(name), context),
  );
  return names.flatMap((name, index) => (left[index] ?? []).map((each) => `${name}: ${each}`));
}
