// What becomes of a packet that is forwarded and that no rule of a table names, and of one that comes from a pool which somebody lets
// through there. In: a table as `nft -s -t list table` prints it (nft 1.0). Pure.
import type { Pool } from '../../shared/schema/network.ts';

/** A base chain that refuses whatever no rule names. */
export interface RefusingChain {
  /** `<family> <table> <chain>` */
  readonly name: string;
  readonly by: 'policy' | 'rule';
  /** Some rule of its table accepts what comes from the pool; what else it says of that is somebody's decision. */
  lets(pool: Pick<Pool, 'bridge' | 'subnet'>): boolean;
}

type End = 'accepts' | 'refuses' | 'goesOn';

interface Chain {
  readonly name: string;
  /** Without comments and prefixes of logs, which may say anything. */
  readonly rules: readonly string[];
}

const HOOK = /^type filter hook forward .*policy (accept|drop);/;
/** A rule that takes every packet: its verdict, and where that leads to. */
const BARE =
  /^(?:counter(?: packets \d+ bytes \d+)? |log(?: (?:level|group|snaplen|queue-threshold) \S+| flags (?:all|skuid|ether|(?:tcp|ip) \S+))* )*(accept|queue|drop|reject|return|jump|goto)\b(?: (\S+))?/;
const LEADS = / (accept|(?:jump|goto) (\S+))$/;

export function refusingChains(listing: string): RefusingChain[] {
  const table = /^table (\S+ \S+) \{/m.exec(listing)?.[1] ?? '';
  const chains = chainsOf(listing);
  const ends = createEnds(chains);
  const lets = ({ bridge, subnet }: Pick<Pool, 'bridge' | 'subnet'>): boolean =>
    chains.some(({ rules }) =>
      rules.some((rule) => (isFrom(rule, bridge) || isOf(rule, subnet)) && leadsToAccept(rule, ends)),
    );
  return chains.flatMap(({ name, rules: [hook = '', ...rules] }): RefusingChain[] => {
    const policy = HOOK.exec(hook)?.[1];
    if (policy === undefined) return [];
    const end = ends.ofRules(rules);
    if (end === 'refuses') return [{ name: `${table} ${name}`, by: 'rule', lets }];
    return end === 'goesOn' && policy === 'drop' ? [{ name: `${table} ${name}`, by: 'policy', lets }] : [];
  });
}

/** A rule is indented by two tabs; what is indented by more goes on with it. */
function chainsOf(listing: string): Chain[] {
  const lines = listing.replaceAll(/[ \t](?:comment|prefix) "[^"]*"/g, '').replaceAll(/\n\t\t[ \t]+/g, ' ');
  return [...lines.matchAll(/^\tchain (\S+) \{\n([\s\S]*?)^\t\}/gm)].map(([, name = '', body = '']) => ({
    name,
    rules: body.split('\n').flatMap((line) => line.trim() || []),
  }));
}

interface Ends {
  ofRules(rules: readonly string[]): End;
  ofChain(name: string): End;
}

/** Each chain is walked through once. The kernel takes none that leads back to itself, and none more than 16 deep. */
function createEnds(chains: readonly Chain[]): Ends {
  const known = new Map<string, End>();
  const ends: Ends = {
    ofRules(rules) {
      for (const rule of rules) {
        const [, verdict, target = ''] = BARE.exec(rule) ?? [];
        if (verdict === 'drop' || verdict === 'reject') return 'refuses';
        // Whoever takes it from a queue decides.
        if (verdict === 'accept' || verdict === 'queue') return 'accepts';
        if (verdict === 'return') return 'goesOn';
        const end = verdict === undefined ? 'goesOn' : ends.ofChain(target);
        if (end !== 'goesOn' || verdict === 'goto') return end;
      }
      return 'goesOn';
    },
    ofChain(name) {
      const end = known.get(name) ?? ends.ofRules(chains.find((chain) => chain.name === name)?.rules ?? []);
      known.set(name, end);
      return end;
    },
  };
  return ends;
}

function leadsToAccept(rule: string, ends: Ends): boolean {
  const [, verdict, target] = LEADS.exec(rule) ?? [];
  return verdict === 'accept' || (target !== undefined && ends.ofChain(target) === 'accepts');
}

function isFrom(rule: string, bridge: string): boolean {
  const [, names = ''] = /\biif(?:name)? (\{[^}]*\}|"[^"]*")/.exec(rule) ?? [];
  return [...names.matchAll(/"([^"]*)"/g)].some(
    ([, name = '']) => name === bridge || (name.endsWith('*') && bridge.startsWith(name.slice(0, -1))),
  );
}

function isOf(rule: string, subnet: string): boolean {
  const [, subnets = ''] = /\bip saddr (\{[^}]*\}|\S+)/.exec(rule) ?? [];
  return subnets.split(/[{},\s]+/).includes(subnet);
}
