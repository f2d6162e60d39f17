// Where in iptables' FORWARD chain the jump to our rules stands: behind every rule of others that decides about a packet, so that what they
// drop stays dropped, and before what takes all the rest, be it a rule (ufw's REJECT) or the policy. In: what `iptables-save` prints. Pure.

export interface ForwardPlace {
  /** How many rules of others stand before it. */
  readonly index: number;
  /** None stands behind it. */
  readonly isLast: boolean;
  /** Our jump stands there, and nowhere else. */
  readonly isTaken: boolean;
  /** A chain before it that drops whatever it does not accept; empty: none. */
  readonly droppingBefore: string;
}

interface Rule {
  /** It takes every packet. */
  readonly isBare: boolean;
  /** Another chain, DROP, …; empty for a rule that only counts. */
  readonly target: string;
}

type Chains = ReadonlyMap<string, readonly Rule[]>;

/** They let the packet go on. */
const ONWARD = ['', 'LOG', 'NFLOG', 'ULOG'];
const REFUSALS = ['DROP', 'REJECT'];

/** `ownChain`: the one that our jump leads to. */
export function forwardPlace(saved: string, ownChain: string): ForwardPlace {
  const chains = chainsOf(saved);
  const all = chains.get('FORWARD') ?? [];
  const others = all.filter(({ target }) => target !== ownChain);
  const rest = others.findIndex((rule) => refusesAll(chains, rule));
  const index = others.slice(0, rest < 0 ? undefined : rest).findLastIndex((rule) => decides(chains, rule)) + 1;
  const dropping = others.slice(0, index).find((rule) => rule.isBare && endsInRefusal(chains, rule.target));
  return {
    index,
    isLast: index === others.length,
    isTaken: all.length === others.length + 1 && all[index]?.target === ownChain,
    droppingBefore: dropping?.target ?? '',
  };
}

function chainsOf(saved: string): Chains {
  const chains = new Map<string, Rule[]>();
  for (const line of saved.split('\n')) {
    const declared = /^:(\S+) /.exec(line)?.[1];
    if (declared !== undefined) chains.set(declared, []);
    const [, chain, matches] = /^-A (\S+)(.*)$/.exec(line.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')) ?? [];
    if (chain === undefined || matches === undefined) continue;
    const rule = matches.replaceAll(/ -m comment --comment \S+/g, '');
    const target = / -[jg] (\S+)/.exec(rule)?.[1] ?? '';
    const rules = chains.get(chain) ?? [];
    rules.push({ isBare: /^( -[jg] |$)/.test(rule), target });
    chains.set(chain, rules);
  }
  return chains;
}

/** Not so a chain that logs at most: ufw has several, and its lines of what it blocks are to be of that. */
function decides(chains: Chains, { target }: Rule): boolean {
  if (ONWARD.includes(target)) return false;
  return chains.get(target)?.some((rule) => rule.target !== 'RETURN' && decides(chains, rule)) ?? true;
}

/** At once: a chain that accepts some of it before is somebody's decision. */
function refusesAll(chains: Chains, { isBare, target }: Rule): boolean {
  if (!isBare) return false;
  if (REFUSALS.includes(target)) return true;
  const first = chains.get(target)?.find((rule) => !ONWARD.includes(rule.target));
  return first !== undefined && refusesAll(chains, first);
}

/** Whatever it does not accept. */
function endsInRefusal(chains: Chains, chain: string): boolean {
  for (const { isBare, target } of chains.get(chain) ?? []) {
    if (!isBare || ONWARD.includes(target)) continue;
    if (REFUSALS.includes(target) || endsInRefusal(chains, target)) return true;
    if (!chains.has(target)) return false;
  }
  return false;
}
