// NAT as typed rules, and as the texts that nft and iptables read and list. Pure.
import type { Pool } from '../../shared/schema/network.ts';

/** What leaves `subnet` by another link than `bridge` gets the address of the link it leaves by. */
export interface NatRule {
  readonly pool: string;
  readonly subnet: string;
  readonly bridge: string;
}

/** The nft table that is ours as a whole, family ip. */
export const NFT_TABLE = 'berth';
/** The chain of iptables' nat table that is ours as a whole. */
export const IPTABLES_CHAIN = 'BERTH-NAT';

export function natRules(pools: readonly Pool[]): NatRule[] {
  return pools.filter((pool) => pool.nat).map(({ name, subnet, bridge }) => ({ pool: name, subnet, bridge }));
}

/**
 * Our table as `nft -s list table ip berth` prints it (nft 1.0), so that comparing is comparing text. Names hold nothing that
 * nft would read as anything but a name (shared/schema/names.ts), and stand in quotes all the same.
 */
export function nftTable(rules: readonly NatRule[]): string {
  const lines = rules.map(
    ({ pool, subnet, bridge }) => `ip saddr ${subnet} oifname != "${bridge}" masquerade comment "pool ${pool}"`,
  );
  return [
    `table ip ${NFT_TABLE} {`,
    '\tchain postrouting {',
    '\t\ttype nat hook postrouting priority srcnat; policy accept;',
    ...lines.map((line) => `\t\t${line}`),
    '\t}',
    '}',
    '',
  ].join('\n');
}

/** One transaction: the first line makes the second one legal when there is no such table yet. */
export function nftReplace(rules: readonly NatRule[]): string {
  return `table ip ${NFT_TABLE}\ndelete table ip ${NFT_TABLE}\n${nftTable(rules)}`;
}

export function nftRemove(): string {
  return `table ip ${NFT_TABLE}\ndelete table ip ${NFT_TABLE}\n`;
}

const JUMP = `-A POSTROUTING -j ${IPTABLES_CHAIN}`;

/** Our chain's rules as `iptables-save` prints them. */
function iptablesRules(rules: readonly NatRule[]): string[] {
  return rules.map(
    ({ pool, subnet, bridge }) =>
      `-A ${IPTABLES_CHAIN} -s ${subnet} ! -o ${bridge} -m comment --comment "pool ${pool}" -j MASQUERADE`,
  );
}

/** Lines of `iptables-save -t nat` that are ours. */
export function iptablesOwnLines(saved: string): string[] {
  return saved.split('\n').filter((line) => line === JUMP || line.startsWith(`-A ${IPTABLES_CHAIN} `));
}

/** What `iptablesOwnLines` answers when these rules stand, once each. */
export function iptablesWanted(rules: readonly NatRule[]): string[] {
  return [JUMP, ...iptablesRules(rules)];
}

/** Input for `iptables-restore --noflush`, one transaction: naming a chain empties it, the jump is added where it is missing. */
export function iptablesReplace(rules: readonly NatRule[], present: readonly string[]): string {
  const jumps = present.filter((line) => line === JUMP).length;
  const surplus = Array.from({ length: Math.max(0, jumps - 1) }, () => JUMP.replace('-A', '-D'));
  const missing = jumps === 0 ? [JUMP] : [];
  const lines = ['*nat', `:${IPTABLES_CHAIN} - [0:0]`, ...surplus, ...missing, ...iptablesRules(rules), 'COMMIT', ''];
  return lines.join('\n');
}

export function iptablesRemove(present: readonly string[]): string {
  const jumps = present.filter((line) => line === JUMP).map((line) => line.replace('-A', '-D'));
  return ['*nat', `:${IPTABLES_CHAIN} - [0:0]`, ...jumps, `-X ${IPTABLES_CHAIN}`, 'COMMIT', ''].join('\n');
}
