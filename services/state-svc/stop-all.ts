// Before a poweroff: containers in reverse group order, then the network of the pools. Goes on past errors.
import type { Revision } from '../../shared/revision/revision.ts';
import type { Container } from './container.ts';
import { inTurns } from './in-turns.ts';
import type { Ask, Peers } from './peers.ts';
import { describe } from './start-pipeline.ts';

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
    const left = await inTurns(members, STOPS_AT_A_TIME, (container) => container.shutDown());
    reasons.push(...members.flatMap(({ plan }, index) => (left[index] ?? []).map((each) => `${plan.name}: ${each}`)));
  }
  const network = await ask(() => peers.net.configure({ pools: [] })).catch((fault: unknown) => String(fault));
  if (typeof network === 'string') reasons.push(`pools: ${network}`);
  else if (!network.ok) reasons.push(`pools: ${describe(network.error)}`);
  return reasons.slice(0, 50).map((reason) => reason.slice(0, 500));
}
