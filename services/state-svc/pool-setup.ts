// The pools of the revision: told to ipam-svc and net-svc at the boot, and again until they stand where storage or network did not
// let them, so that making room, or plugging in what is missing, is all that somebody has to do. Parents may go again at any time.
import { type Overlap, overlapMessage } from '../../shared/revision/host-overlap.ts';
import type { ContainerPlan, Problem, Revision } from '../../shared/revision/revision.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Pool } from '../../shared/schema/network.ts';
import type { Container } from './container.ts';
import { tellLeases } from './lease-telling.ts';
import type { News } from './news.ts';
import { ownServers } from './own-servers.ts';
import type { Ask, Peers } from './peers.ts';

export interface Configured {
  readonly refused: readonly Problem[];
  /** Why none of them stands. */
  readonly reasons: readonly HealthReason[];
  /** Pools in the way of something that the machine uses: missed by their containers alone. */
  readonly leftOut: readonly Overlap[];
  /** macvlan pools whose parent the machine does not have, of which net-svc tells: it is missed by their containers alone. */
  readonly parentless: readonly string[];
}

export const ALL_STAND: Configured = { refused: [], reasons: [], leftOut: [], parentless: [] };

/** Whether those of the container do. */
export function standFor({ network }: ContainerPlan, { reasons, leftOut, parentless }: Configured): boolean {
  if (reasons.length > 0) return false;
  const lacking = [...leftOut.map(({ pool }) => pool), ...parentless];
  return network.mode !== 'pool' || !network.interfaces.some(({ pool }) => lacking.includes(pool));
}

export interface Configuring {
  /** Both services are asked at once, for there is no network yet that a revision which ipam-svc refuses must leave alone. */
  readonly nothingRuns?: boolean;
  /**
   * Of a revision that is tried: pools in the way of something that the machine uses refuse it. Otherwise what the machine has gained since refuses
   * nothing, and these alone wait for it to go again.
   */
  readonly isTried?: boolean;
}

export async function configure(
  revision: Revision,
  peers: Peers,
  ask: Ask,
  how: Configuring = {},
): Promise<Configured> {
  const parents = await lookAtParents(revision.pools, peers, ask);
  if ('reason' in parents) return { ...ALL_STAND, reasons: [poolsReason(parents.reason)] };
  const made = await makePools(revision, parents.pools, peers, ask, how);
  return { ...ALL_STAND, ...made, parentless: parents.parentless };
}

async function makePools(
  revision: Revision,
  pools: Pool[],
  peers: Peers,
  ask: Ask,
  { nothingRuns = false, isTried = false }: Configuring,
): Promise<Partial<Configured>> {
  const makeLinks = (servers: string[] = []) => ask(() => peers.net.configure({ pools, servers, leaveOut: !isTried }));
  const early = nothingRuns ? makeLinks() : undefined;
  const [leases] = await Promise.all([tellLeases(revision, pools, peers, ask), early]);
  if (leases === 'tooMuch') {
    const message = `${pools.length} pools with ${revision.reservations.length} fixed addresses are more than ipam-svc can be told`;
    return { refused: [{ path: 'device.json.network', code: 'TOO_MANY_ADDRESSES', message }] };
  }
  if (!leases.ok) {
    switch (leases.error.code) {
      case 'INVALID_POOLS':
        return { refused: leases.error.problems };
      case 'ADDRESS_TAKEN': {
        const { container, pool, address, holder } = leases.error;
        const message = `address ${address} of pool ${pool} is held by ${holder}; choose another or release that lease`;
        return { refused: [{ path: container, code: 'ADDRESS_TAKEN', message }] };
      }
      case 'PARTS_MISSING':
        return { reasons: [poolsReason('ipam-svc has restarted meanwhile')] };
      case 'JOURNAL_UNWRITABLE':
        return { reasons: [poolsReason(`leases cannot be written: ${leases.error.reason}`)] };
    }
  }
  let links = await (early ?? makeLinks());
  const servers = await ownServers(overlapsOf(links), revision, peers, ask);
  if (servers.length > 0) links = await makeLinks(servers);
  if (links.ok) return { leftOut: links.value.leftOut };
  switch (links.error.code) {
    case 'POOL_OVERLAPS':
      return { refused: links.error.overlaps.map(overlapProblem) };
    case 'NET_FAILED':
      return { reasons: [poolsReason(`${links.error.step}: ${links.error.reason}`)] };
  }
}

function overlapsOf(links: Awaited<ReturnType<Peers['net']['configure']>>): readonly Overlap[] {
  if (links.ok) return links.value.leftOut;
  return links.error.code === 'POOL_OVERLAPS' ? links.error.overlaps : [];
}

interface Parents {
  /** All pools, with what the machine has on a macvlan's parent: that is in the pool's subnet, and must be nobody's lease. */
  readonly pools: Pool[];
  readonly parentless: readonly string[];
}

async function lookAtParents(
  pools: readonly Pool[],
  peers: Peers,
  ask: Ask,
): Promise<Parents | { readonly reason: string }> {
  const macvlans = pools.filter(isMacvlan);
  if (macvlans.length === 0) return { pools: [...pools], parentless: [] };
  const links = [...new Set(macvlans.map(({ bridge }) => bridge))];
  const answer = await ask(() => peers.net.listHostAddresses({ links }));
  if (!answer.ok) return { reason: `${answer.error.step}: ${answer.error.reason}` };
  const { addresses, missing } = answer.value;
  const withHostAddresses = pools.map((pool) => {
    const own = addresses.filter(({ link }) => pool.type === 'macvlan' && link === pool.bridge);
    return own.length === 0 ? pool : { ...pool, hostAddresses: own.map(({ address }) => address).sort() };
  });
  const parentless = macvlans.filter(({ bridge }) => missing.includes(bridge)).map(({ name }) => name);
  return { pools: withHostAddresses, parentless };
}

const isMacvlan = ({ type }: Pool): boolean => type === 'macvlan';

const asReasons = (refused: readonly Problem[]): HealthReason[] => refused.map(({ message }) => poolsReason(message));

function overlapProblem(overlap: Overlap): Problem {
  const path = `device.json.network.pools.${overlap.pool}.subnet`;
  return { path, code: 'POOL_OVERLAPS', message: overlapMessage(overlap) };
}

/** Why pools do not stand; net-svc tells of parents itself. */
export function poolsHealth({ reasons, leftOut }: Configured): readonly HealthReason[] {
  const waiting = leftOut.map((overlap) => ({
    code: 'POOLS_NOT_READY',
    subject: `pool ${overlap.pool}`,
    message: `${overlapMessage(overlap)}; its containers wait while it does`,
  }));
  return [...reasons, ...waiting];
}

/** Containers without a pool run all the same; those with one are refused by their own start. */
function poolsReason(reason: string): HealthReason {
  return {
    code: 'POOLS_NOT_READY',
    subject: 'network',
    message: `the pools of the revision could not be made: ${reason}`,
  };
}

/** What fails, as for want of room, tells nobody when it would work. */
const AGAIN_MS = 5000;
/** What the machine has is news when it changes; where those are lost, as by net-svc's death, this is what it costs. */
const WITHOUT_NEWS_MS = 60_000;

/** Milliseconds until they are looked at without news; undefined: never. */
function patienceMs({ reasons, leftOut, parentless }: Configured): number | undefined {
  if (reasons.length > 0) return AGAIN_MS;
  return leftOut.length + parentless.length > 0 ? WITHOUT_NEWS_MS : undefined;
}

/**
 * `first`: how it went; `news`: of what the machine has, and that `isWanted` changed. Resolves when nothing can change any more, or `isWanted` says
 * no: from then on no service is asked for anything, not even once more. `tell` hears how it goes.
 */
export async function keepConfiguring(
  revision: Revision,
  first: Configured,
  { peers, ask, news }: { readonly peers: Peers; readonly ask: Ask; readonly news: News },
  isWanted: () => boolean,
  tell: (configured: Configured) => void,
): Promise<void> {
  // Of several requests the later ones, or a second try, would come after those for a revision that follows.
  const askWhileWanted: Ask = (call) =>
    ask(async () => {
      if (!isWanted()) throw new Error('nobody wants it any more');
      return call();
    });
  for (let last = first; patienceMs(last) !== undefined || revision.pools.some(isMacvlan); ) {
    await news.next(patienceMs(last));
    if (!isWanted()) return;
    // A parent may stay away for good: nothing is written and no program run for it, nor for one that goes.
    if (last.reasons.length + last.leftOut.length === 0) {
      const parentless = await stillParentless(last, revision, peers, askWhileWanted);
      if (!isWanted()) return;
      if (parentless?.length === last.parentless.length) continue;
      if (parentless !== undefined) {
        last = { ...last, parentless };
        tell(last);
        continue;
      }
    }
    const found: Configured = await configure(revision, peers, askWhileWanted).catch((fault: unknown) => ({
      ...ALL_STAND,
      reasons: [poolsReason(String(fault))],
    }));
    if (!isWanted()) return;
    // What the revision was refused for now would have been told at its boot; it is not taken back while it runs.
    last = { ...found, refused: [], reasons: [...found.reasons, ...asReasons(found.refused)] };
    tell(last);
  }
}

/** Which pools have no parent now; undefined: one of those that had none may have, and they are to be made anew. */
async function stillParentless(
  { parentless }: Configured,
  { pools }: Revision,
  peers: Peers,
  ask: Ask,
): Promise<readonly string[] | undefined> {
  const now = await lookAtParents(pools, peers, ask).catch(() => undefined);
  if (now === undefined || 'reason' in now) return parentless.length === 0 ? [] : undefined;
  return parentless.every((pool) => now.parentless.includes(pool)) ? now.parentless : undefined;
}

/** Those whose start failed for want of a pool; who ran and ended has no part in it. Who runs may have been adopted without it. */
export function startWaiting(containers: readonly Container[]): void {
  for (const container of containers) {
    if (container.lacksNetwork) container.boot();
    else container.poolsCame();
  }
}
