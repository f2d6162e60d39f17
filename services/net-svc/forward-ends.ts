// What becomes of a packet that is forwarded and that no rule of a table names, and of one that comes from a pool which somebody lets
// through there. In: a table as `nft -s -t list table` prints it (nft 1.0), and the elements of the sets that it asks about pools. Pure.
import { type Source, setsAsked, verdictsFor, withElements } from './forward-sources.ts';

/** A base chain that refuses whatever no rule names. */
export interface RefusingChain {
  /** `<family> <table> <chain>` */
  readonly name: string;
  readonly by: 'policy' | 'rule';
  /** Some rule that it leads to accepts what comes from the pool; what else that says of it is somebody's decision. */
  lets(pool: Source): boolean;
  /** Sets and maps that say more of what it lets through, with elements that are not given. */
  readonly asks: readonly NamedSet[];
}

export interface NamedSet {
  readonly kind: 'set' | 'map';
  readonly name: string;
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
/** A map of verdicts that takes every packet, whatever it has of others. */
const REST =
  /^(?:counter(?: packets \d+ bytes \d+)? )?(?:(?:[io]if(?:name)?|ip [sd]addr|ct state|ct mark|meta mark)(?: \. (?=[a-z]))?)+ vmap \{[^}]*(?<=[{,] )\* : (accept|queue|drop|return|jump|goto)(?: ([^\s,}]+))?/;

/** `elements`: of named sets and maps, as they stand in a rule; undefined for those that nobody can tell. */
export function refusingChains(
  listing: string,
  elements: ReadonlyMap<string, string | undefined> = new Map(),
): RefusingChain[] {
  const table = /^table (\S+ \S+) \{/m.exec(listing)?.[1] ?? '';
  const maps = [...listing.matchAll(/^\tmap (\S+) \{/gm)].map(([, name]) => name);
  const chains = chainsOf(listing).map(({ name, rules }) => ({
    name,
    rules: rules.map((rule) => withElements(rule, elements)),
  }));
  const ends = createEnds(chains);
  return chains.flatMap((chain): RefusingChain[] => {
    const [hook = '', ...rules] = chain.rules;
    const policy = HOOK.exec(hook)?.[1];
    if (policy === undefined) return [];
    const end = ends.ofRules(rules);
    if (end !== 'refuses' && (end !== 'goesOn' || policy !== 'drop')) return [];
    const asked = rulesFrom(chain, chains);
    return [
      {
        name: `${table} ${chain.name}`,
        by: end === 'refuses' ? 'rule' : 'policy',
        lets: (source) => asked.some((rule) => verdictsFor(rule, source).some((verdict) => ends.accepts(verdict))),
        asks: [...new Set(asked.flatMap((rule) => setsAsked(rule, ends.accepts)))].map((name) => ({
          kind: maps.includes(name) ? 'map' : 'set',
          name,
        })),
      },
    ];
  });
}

/** Of the chain, and of all that it leads to. */
function rulesFrom(first: Chain, chains: readonly Chain[]): string[] {
  const found = new Set([first]);
  for (const { rules } of found) {
    for (const [, target] of rules.join('\n').matchAll(/\b(?:jump|goto) ([^\s,}]+)/g)) {
      const next = chains.find(({ name }) => name === target);
      if (next !== undefined) found.add(next);
    }
  }
  return [...found].flatMap(({ rules }) => rules);
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
  /** `accept`, or `jump` or `goto` to a chain that does. */
  accepts(verdict: string): boolean;
}

/** Each chain is walked through once. The kernel takes none that leads back to itself, and none more than 16 deep. */
function createEnds(chains: readonly Chain[]): Ends {
  const known = new Map<string, End>();
  const ends: Ends = {
    ofRules(rules) {
      for (const rule of rules) {
        const [, verdict, target = ''] = BARE.exec(rule) ?? REST.exec(rule) ?? [];
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
    accepts(verdict) {
      const [word, target = ''] = verdict.split(' ');
      return word === 'accept' || (word !== 'drop' && ends.ofChain(target) === 'accepts');
    },
  };
  return ends;
}
