// Where in iptables' FORWARD chain the jump to our rules stands: behind every rule of others that decides about a packet, so that what they
// drop stays dropped, and before what takes all the rest, be it a rule (ufw's REJECT) or the policy. In: what `iptables-save` prints. Pure.

export interface ForwardPlace {
  /** How many rules of others stand before it. */
  readonly index: number;
  /** None stands behind it. */
  readonly isLast: boolean;
  /** Something behind it takes all the rest, so that the policy is never asked. */
  readonly isShut: boolean;
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

/** What a chain, or another target, comes to for a packet that reaches it. */
interface Verdict {
  /** It may take the packet. Not so a chain that logs at most: ufw has several, and its lines of what it blocks are to be of that. */
  readonly decides: boolean;
  /** Everything, at once: a chain that accepts some of it before is somebody's decision. */
  readonly refusesAll: boolean;
  /** Whatever it does not accept. */
  readonly endsInRefusal: boolean;
}

type Verdicts = ReadonlyMap<string, Verdict>;

/** They let the packet go on. */
const ONWARD = ['', 'LOG', 'NFLOG', 'ULOG'];
const GOES_ON: Verdict = { decides: false, refusesAll: false, endsInRefusal: false };
const REFUSALS = ['DROP', 'REJECT'];
const REFUSES: Verdict = { decides: true, refusesAll: true, endsInRefusal: true };
/** In FORWARD itself; a RETURN there leads to the policy. */
const LETS_ALL = ['ACCEPT', 'RETURN'];
/** ACCEPT, RETURN, and what we do not know. */
const DECIDES: Verdict = { decides: true, refusesAll: false, endsInRefusal: false };

/** `ownChain`: the one that our jump leads to. */
export function forwardPlace(saved: string, ownChain: string): ForwardPlace {
  const chains = chainsOf(saved);
  const verdicts = verdictsOf(chains);
  const all = chains.get('FORWARD') ?? [];
  const others = all.filter(({ target }) => target !== ownChain);
  const rest = others.findIndex(({ isBare, target }) => isBare && verdictOf(verdicts, target).refusesAll);
  const index =
    others.slice(0, rest < 0 ? undefined : rest).findLastIndex(({ target }) => verdictOf(verdicts, target).decides) + 1;
  // What stands behind a rule that lets everything through is never asked.
  const open = others.findIndex(({ isBare, target }) => isBare && LETS_ALL.includes(target));
  const asked = open < 0 ? others : others.slice(0, open);
  const dropping = asked
    .slice(0, index)
    .find(({ isBare, target }) => isBare && verdictOf(verdicts, target).endsInRefusal);
  return {
    index,
    isLast: index === others.length,
    isShut: rest >= 0 && rest < asked.length,
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

/**
 * Each chain once, after those that it leads to: however often they lead to one another, and however deep. (The kernel takes none that
 * leads back to itself.)
 */
function verdictsOf(chains: Chains): Verdicts {
  const verdicts = new Map<string, Verdict>();
  const entered = new Set<string>();
  const due = [...chains.keys()];
  for (let chain = due.at(-1); chain !== undefined; chain = due.at(-1)) {
    const rules = chains.get(chain) ?? [];
    if (entered.has(chain)) {
      due.pop();
      if (!verdicts.has(chain)) verdicts.set(chain, chainVerdict(rules, verdicts));
      continue;
    }
    entered.add(chain);
    for (const { target } of rules) if (chains.has(target) && !entered.has(target)) due.push(target);
  }
  return verdicts;
}

function verdictOf(verdicts: Verdicts, target: string): Verdict {
  if (ONWARD.includes(target)) return GOES_ON;
  return verdicts.get(target) ?? (REFUSALS.includes(target) ? REFUSES : DECIDES);
}

function chainVerdict(rules: readonly Rule[], verdicts: Verdicts): Verdict {
  const first = rules.find(({ target }) => !ONWARD.includes(target));
  // Behind one that takes every packet, or sends it back, nothing is asked.
  const end = rules.find(
    ({ isBare, target }) =>
      isBare && !ONWARD.includes(target) && (!verdicts.has(target) || verdictOf(verdicts, target).endsInRefusal),
  );
  return {
    decides: rules.some(({ target }) => target !== 'RETURN' && verdictOf(verdicts, target).decides),
    refusesAll: first?.isBare === true && verdictOf(verdicts, first.target).refusesAll,
    endsInRefusal: end !== undefined && verdictOf(verdicts, end.target).endsInRefusal,
  };
}
