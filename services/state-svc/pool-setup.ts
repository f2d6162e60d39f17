// The pools of the revision: told to ipam-svc and net-svc at the boot, and again until they stand where storage or network did not
// let them, so that making room is all that somebody has to do.
import { type Overlap, overlapMessage } from '../../shared/revision/host-overlap.ts';
import type { Problem, Revision } from '../../shared/revision/revision.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Pool } from '../../shared/schema/network.ts';
import { type Clock, sleep } from './clock.ts';
import type { Container } from './container.ts';
import { tellLeases } from './lease-telling.ts';
import type { Ask, Peers } from './peers.ts';

export interface Configured {
  readonly refused: readonly Problem[];
  readonly reasons: readonly HealthReason[];
}

/**
 * `nothingRuns`: both services are asked at once, for there is no network yet that a revision which ipam-svc refuses must leave alone.
 */
export async function configure(revision: Revision, peers: Peers, ask: Ask, nothingRuns = false): Promise<Configured> {
  const pools = await withHostAddresses(revision.pools, peers, ask);
  if ('reason' in pools) return { refused: [], reasons: [poolsReason(pools.reason)] };
  const makeLinks = () => ask(() => peers.net.configure({ pools }));
  const early = nothingRuns ? makeLinks() : undefined;
  const [leases] = await Promise.all([tellLeases(revision, pools, peers, ask), early]);
  if (leases === 'tooMuch') {
    const message = `${pools.length} pools with ${revision.reservations.length} fixed addresses are more than ipam-svc can be told`;
    return { refused: [{ path: 'device.json.network', code: 'TOO_MANY_ADDRESSES', message }], reasons: [] };
  }
  if (!leases.ok) {
    switch (leases.error.code) {
      case 'INVALID_POOLS':
        return { refused: leases.error.problems, reasons: [] };
      case 'ADDRESS_TAKEN': {
        const { container, pool, address, holder } = leases.error;
        const message = `address ${address} of pool ${pool} is held by ${holder}; choose another or release that lease`;
        return { refused: [{ path: container, code: 'ADDRESS_TAKEN', message }], reasons: [] };
      }
      case 'PARTS_MISSING':
        return { refused: [], reasons: [poolsReason('ipam-svc has restarted meanwhile')] };
      case 'JOURNAL_UNWRITABLE':
        return { refused: [], reasons: [poolsReason(`leases cannot be written: ${leases.error.reason}`)] };
    }
  }
  const links = await (early ?? makeLinks());
  if (links.ok) return { refused: [], reasons: [] };
  switch (links.error.code) {
    case 'POOL_OVERLAPS':
      return { refused: links.error.overlaps.map(overlapProblem), reasons: [] };
    case 'NET_FAILED':
      return { refused: [], reasons: [poolsReason(`${links.error.step}: ${links.error.reason}`)] };
  }
}

/** What the machine has on a macvlan's parent is in the pool's subnet, and must be nobody's lease. */
async function withHostAddresses(
  pools: readonly Pool[],
  peers: Peers,
  ask: Ask,
): Promise<Pool[] | { readonly reason: string }> {
  const parents = pools.filter(({ type }) => type === 'macvlan').map(({ bridge }) => bridge);
  if (parents.length === 0) return [...pools];
  const answer = await ask(() => peers.net.listHostAddresses({ links: [...new Set(parents)] }));
  if (!answer.ok) return { reason: `${answer.error.step}: ${answer.error.reason}` };
  return pools.map((pool) => {
    const own = answer.value.addresses.filter(({ link }) => pool.type === 'macvlan' && link === pool.bridge);
    return own.length === 0 ? pool : { ...pool, hostAddresses: own.map(({ address }) => address).sort() };
  });
}

function overlapProblem(overlap: Overlap): Problem {
  const path = `device.json.network.pools.${overlap.pool}.subnet`;
  return { path, code: 'POOL_OVERLAPS', message: overlapMessage(overlap) };
}

/** Containers without a pool run all the same; those with one are refused by their own start. */
function poolsReason(reason: string): HealthReason {
  return {
    code: 'POOLS_NOT_READY',
    subject: 'network',
    message: `the pools of the revision could not be made: ${reason}`,
  };
}

const AGAIN_MS = 5000;

/** Resolves when there is nothing to try any more, or `isWanted` says no. `tell` hears the reasons of each try, none at the end. */
export async function keepConfiguring(
  revision: Revision,
  context: { readonly peers: Peers; readonly ask: Ask; readonly clock: Clock },
  isWanted: () => boolean,
  tell: (reasons: readonly HealthReason[]) => void,
): Promise<void> {
  for (;;) {
    await sleep(context.clock, AGAIN_MS);
    if (!isWanted()) return;
    const { refused, reasons } = await configure(revision, context.peers, context.ask).catch((fault: unknown) => ({
      refused: [],
      reasons: [poolsReason(String(fault))],
    }));
    // What the revision was refused for now would have been told at its boot; it is not taken back while it runs.
    const left = [...reasons, ...refused.map(({ message }) => poolsReason(message))];
    tell(left);
    if (left.length === 0) return;
  }
}

/** Those whose start failed for want of a pool; who ran and ended has no part in it. */
export function startWaiting(containers: readonly Container[]): void {
  for (const container of containers) {
    if (container.lacksNetwork) container.boot();
  }
}
