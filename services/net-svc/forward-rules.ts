// Chains of others' that drop what is forwarded, and our own rules that let the pools through where that can be done. Pure.
import type { Pool } from '../../shared/schema/network.ts';
import type { ForwardPlace } from './forward-place.ts';

/** The chain of iptables' filter table that is ours as a whole. */
export const FORWARD_CHAIN = 'BERTH-FORWARD';
/** The one whose drop our rules can forestall: an accept ends it. In nft's other base chains an accept ends only its own. */
export const IPTABLES_FORWARD = 'ip filter FORWARD';

export interface ForwardChains {
  /** iptables' own is there, whose rules may drop what its policy does not. */
  readonly hasIptables: boolean;
  readonly iptablesDrops: boolean;
  /** `<family> <table>` of those that have base chains of their own for what is forwarded. */
  readonly tables: readonly string[];
  /** Our chain is there. */
  readonly ours: boolean;
}

/** From what `nft list chains` prints (nft 1.0). Families that IPv4 does not pass through are left out. */
export function forwardChainsOfNft(listing: string): ForwardChains {
  const tables = new Set<string>();
  let iptablesDrops = false;
  let table = '';
  let chain = '';
  let hasIptables = false;
  let ours = false;
  for (const line of listing.split('\n')) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    chain = /^\tchain (\S+) \{/.exec(line)?.[1] ?? chain;
    if (table === 'ip filter' && chain === FORWARD_CHAIN) ours = true;
    if (!/^\t\ttype filter hook forward /.test(line) || !/^(ip|inet) /.test(table)) continue;
    if (`${table} ${chain}` === IPTABLES_FORWARD) {
      hasIptables = true;
      iptablesDrops = line.includes('policy drop;');
    } else {
      tables.add(table);
    }
  }
  return { hasIptables, iptablesDrops, tables: [...tables], ours };
}

/** From what `iptables-save -t filter` prints. */
export function forwardChainsOfIptables(saved: string): ForwardChains {
  const lines = saved.split('\n');
  return {
    hasIptables: lines.some((line) => line.startsWith(':FORWARD ')),
    iptablesDrops: lines.some((line) => line.startsWith(':FORWARD DROP ')),
    tables: [],
    ours: lines.some((line) => line.startsWith(`:${FORWARD_CHAIN} `)),
  };
}

const JUMP = `-A FORWARD -j ${FORWARD_CHAIN}`;

/**
 * As `iptables-save` prints them. Within a bridge too: where br_netfilter is loaded, that passes through FORWARD as well
 * (net.bridge.bridge-nf-call-iptables). Pools without NAT go no further.
 */
function rules(pools: readonly Pool[]): string[] {
  return pools.flatMap(({ name, subnet, bridge, nat }) => {
    const rule = (match: string): string =>
      `-A ${FORWARD_CHAIN} ${match} -m comment --comment "pool ${name}" -j ACCEPT`;
    if (!nat) return [rule(`-i ${bridge} -o ${bridge}`)];
    return [
      rule(`-s ${subnet} -i ${bridge}`),
      rule(`-d ${subnet} -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED`),
    ];
  });
}

/** Lines of `iptables-save -t filter` that are ours. */
export function forwardOwnLines(saved: string): string[] {
  return saved.split('\n').filter((line) => line === JUMP || line.startsWith(`-A ${FORWARD_CHAIN} `));
}

/** What `forwardOwnLines` answers when the pools are let through. */
export function forwardWanted(pools: readonly Pool[]): string[] {
  return [JUMP, ...rules(pools)];
}

/** Input for `iptables-restore --noflush`: naming a chain empties it. */
export function forwardReplace(pools: readonly Pool[], present: readonly string[], place: ForwardPlace): string {
  const jumps = present.filter((line) => line === JUMP).map((line) => line.replace('-A', '-D'));
  const jump = place.isLast ? JUMP : JUMP.replace('-A FORWARD', `-I FORWARD ${place.index + 1}`);
  const head = ['*filter', `:${FORWARD_CHAIN} - [0:0]`];
  return [...head, ...jumps, jump, ...rules(pools), 'COMMIT', ''].join('\n');
}

export function forwardRemove(present: readonly string[]): string {
  const jumps = present.filter((line) => line === JUMP).map((line) => line.replace('-A', '-D'));
  return ['*filter', `:${FORWARD_CHAIN} - [0:0]`, ...jumps, `-X ${FORWARD_CHAIN}`, 'COMMIT', ''].join('\n');
}
