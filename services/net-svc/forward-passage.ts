// Gets the pools' traffic past a FORWARD chain that somebody else (Docker, ufw) lets drop all that it does not accept, by its policy or by
// a rule that says the same; what cannot be got past is told.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { Pool } from '../../shared/schema/network.ts';
import { type RefusingChain, refusingChains } from './forward-ends.ts';
import { forwardPlace } from './forward-place.ts';
import {
  FORWARD_CHAIN,
  type ForwardChains,
  forwardChainsOfIptables,
  forwardChainsOfNft,
  forwardOwnLines,
  forwardRemove,
  forwardReplace,
  forwardWanted,
  IPTABLES_FORWARD,
} from './forward-rules.ts';
import { elementsOf } from './forward-sources.ts';
import { change, RESTORE, run } from './nat-command.ts';

export interface DroppingChain {
  /** `<family> <table> <chain>` */
  readonly chain: string;
  readonly by: 'policy' | 'rule';
  /** Empty when the pools are let through; otherwise why they are not. */
  readonly obstacle: string;
  /** What it cuts off unless somebody allows it there. */
  readonly pools: readonly Pool[];
}

export interface PassageReport {
  readonly dropping: readonly DroppingChain[];
  /** Rules of ours were written or removed. */
  readonly changed: boolean;
  /** False: a program did not do or tell what it was asked for. What could not be seen is as it was. */
  readonly worked: boolean;
}

export interface ForwardPassage {
  /** Never rejects for what the tools say. No pools and no rules of ours: no program is run. */
  apply(pools: readonly Pool[]): Promise<PassageReport>;
}

/** Past iptables' own chain. */
interface Way {
  /** Undefined: it lets through what nothing of others' takes. */
  readonly dropping: DroppingChain | undefined;
  readonly changed: boolean;
  readonly worked: boolean;
}

const NOTHING: ForwardChains = { hasIptables: false, iptablesDrops: false, tables: [], ours: false };
const OF_ANOTHER_CHAIN = 'rules of another chain cannot override it';
const FREE: Way = { dropping: undefined, changed: false, worked: true };

/** `notePath`, a file of ours, is there while rules of ours may be. */
export function createForwardPassage(notePath: string): ForwardPassage {
  let latest: readonly DroppingChain[] = [];

  const letThrough = async (pools: readonly Pool[], dropsByPolicy: boolean): Promise<Way> => {
    const way = (obstacle: string, changed: boolean, worked = true): Way => ({
      dropping: { chain: IPTABLES_FORWARD, by: dropsByPolicy ? 'policy' : 'rule', obstacle, pools },
      changed,
      worked,
    });
    const saved = await run('iptables-save', ['-t', 'filter']);
    if ('reason' in saved) {
      const known = latest.find(({ chain }) => chain === IPTABLES_FORWARD);
      if (known === undefined && dropsByPolicy) return way(saved.reason, false, false);
      return { dropping: known, changed: false, worked: false };
    }
    const present = forwardOwnLines(saved.stdout);
    const place = forwardPlace(saved.stdout, FORWARD_CHAIN);
    if (!dropsByPolicy && !place.isShut && place.droppingBefore === '') return FREE;
    const obstacle =
      place.droppingBefore === ''
        ? ''
        : `its chain ${place.droppingBefore} drops what it does not accept itself, before rules of ours are asked`;
    const areThere = present.toSorted().join('\n') === forwardWanted(pools).toSorted().join('\n');
    if (areThere && place.isTaken) return way(obstacle, false);
    // Before the rules: a crash in between must not leave rules that nobody looks for.
    writeFileSync(notePath, '');
    const outcome = await change('iptables-restore', RESTORE, forwardReplace(pools, present, place));
    return outcome.kind === 'failed' ? way(outcome.reason, false, false) : way(obstacle, true);
  };

  const removeOurs = async (): Promise<Way> => {
    const saved = await run('iptables-save', ['-t', 'filter']);
    if ('reason' in saved) return { ...FREE, worked: saved.why === 'NOT_FOUND' };
    const there = saved.stdout.includes(`:${FORWARD_CHAIN} `);
    const outcome = there
      ? await change('iptables-restore', RESTORE, forwardRemove(forwardOwnLines(saved.stdout)))
      : undefined;
    if (outcome?.kind === 'failed') return { ...FREE, worked: false };
    rmSync(notePath, { force: true });
    return { ...FREE, changed: there };
  };

  /** Of a table with chains that nobody else's rules can override: those that refuse what they do not name, and the pools that they do not let through. */
  const droppingChains = async (table: string, all: readonly Pool[]): Promise<Look> => {
    // Without the elements of sets, which may be thousands.
    const listing = await run('nft', ['-s', '-t', 'list', 'table', ...table.split(' ')]);
    if ('reason' in listing) {
      // Where it ended, there is no such table any more.
      if (listing.why === undefined) return { dropping: [], worked: true };
      return { dropping: latest.filter(({ chain }) => isOf(table, chain)), worked: false };
    }
    const { chains, unread } = await readChains(table, listing.stdout);
    const dropping = chains.flatMap(({ name, by, lets }) => {
      const pools = all.filter((pool) => !lets(pool));
      const isOther = name !== IPTABLES_FORWARD && pools.length > 0;
      return isOther ? [{ chain: name, by, obstacle: obstacleOf(unread), pools }] : [];
    });
    return { dropping, worked: true };
  };

  const look = async (pools: readonly Pool[]): Promise<PassageReport> => {
    const noted = existsSync(notePath);
    if (pools.length === 0 && !noted) return { dropping: [], changed: false, worked: true };
    const chains = pools.length === 0 ? NOTHING : await forwardChains();
    // Rules of ours stay where nobody can tell whether they are needed.
    if (chains === undefined) return { dropping: latest, changed: false, worked: false };
    const way = chains.hasIptables ? await letThrough(pools, chains.iptablesDrops) : FREE;
    const isFree = way.worked && way.dropping === undefined;
    const removed = isFree && (chains.ours || noted) ? await removeOurs() : FREE;
    const others: Look[] = [];
    for (const table of chains.tables) others.push(await droppingChains(table, pools));
    return {
      dropping: [...(way.dropping === undefined ? [] : [way.dropping]), ...others.flatMap(({ dropping }) => dropping)],
      changed: way.changed || removed.changed,
      worked: way.worked && removed.worked && others.every(({ worked }) => worked),
    };
  };

  return {
    async apply(pools) {
      const report = await look(pools);
      latest = report.dropping;
      return report;
    },
  };
}

/** With the elements of the sets that say whom they let through; `unread`: names of those that nft did not tell. */
async function readChains(
  table: string,
  listing: string,
): Promise<{ readonly chains: readonly RefusingChain[]; readonly unread: readonly string[] }> {
  const elements = new Map<string, string | undefined>();
  for (;;) {
    const chains = refusingChains(listing, elements);
    const due = chains.flatMap(({ asks }) => asks).filter(({ name }) => !elements.has(name));
    if (due.length === 0) {
      const unread = [...elements].flatMap(([name, known]) => (known === undefined ? [name] : []));
      return { chains, unread };
    }
    for (const { kind, name } of due) {
      if (elements.has(name)) continue;
      const told = await run('nft', ['-s', 'list', kind, ...table.split(' '), name]);
      elements.set(name, 'stdout' in told ? elementsOf(told.stdout) : undefined);
    }
  }
}

const obstacleOf = (unread: readonly string[]): string =>
  unread.length === 0
    ? OF_ANOTHER_CHAIN
    : `${OF_ANOTHER_CHAIN}, unless its ${unread.join(', ')}, which nft does not tell, lets the pools through`;

type Look = Pick<PassageReport, 'dropping' | 'worked'>;

const isOf = (table: string, chain: string): boolean => chain.startsWith(`${table} `) && chain !== IPTABLES_FORWARD;

/** By nft, which sees every table but those of iptables of the legacy kind; by iptables where nft cannot. Undefined: nobody could tell. */
async function forwardChains(): Promise<ForwardChains | undefined> {
  const listing = await run('nft', ['list', 'chains']);
  if ('stdout' in listing) return forwardChainsOfNft(listing.stdout);
  if (listing.why !== undefined && listing.why !== 'NOT_FOUND') return undefined;
  const saved = await run('iptables-save', ['-t', 'filter']);
  if ('stdout' in saved) return forwardChainsOfIptables(saved.stdout);
  return saved.why === 'NOT_FOUND' ? NOTHING : undefined;
}
