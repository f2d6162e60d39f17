// The two programs that can do NAT, behind one interface. Each keeps exactly our rules in a place that is ours alone.
import { accessSync, constants } from 'node:fs';
import { CommandError, type CommandFailure } from '../../shared/exec/run-command.ts';
import { runLight } from '../../shared/exec/run-light.ts';
import {
  IPTABLES_CHAIN,
  iptablesOwnLines,
  iptablesRemove,
  iptablesReplace,
  iptablesWanted,
  type NatRule,
  NFT_TABLE,
  nftRemove,
  nftReplace,
  nftTable,
} from './nat-rules.ts';

export type NatBackendName = 'nftables' | 'iptables';

/** `reason`: what the program said, or that there is none. */
export type NatOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface NatBackend {
  readonly name: NatBackendName;
  /** Makes our place hold exactly these rules, in one transaction, and only when it does not hold them already. */
  apply(rules: readonly NatRule[]): Promise<NatOutcome>;
  /** Leaves nothing of ours. */
  remove(): Promise<NatOutcome>;
}

/** A transaction over 20 pools takes 29 ms on a fast machine; a busy small device gets a hundred times that. */
const TIMEOUT_MS = 3_000;

const LEGACY_LOCK = '/run/xtables.lock';

/**
 * iptables of the legacy kind wants its lock, which is often root's alone: then it gets one that locks nobody out. The kernel refuses
 * a table of another size than the one it was read with, so somebody who changes it at the same moment makes it fail, and be tried again.
 */
function lockEnvironment(): Readonly<Record<string, string>> {
  try {
    accessSync(LEGACY_LOCK, constants.R_OK);
    return {};
  } catch {
    return { XTABLES_LOCKFILE: '/dev/null' };
  }
}

/** Whether iptables here keeps tables of its own, of whose changes nobody is told, instead of nftables'. */
export async function isLegacyIptables(): Promise<boolean> {
  const answer = await run('iptables', ['--version']);
  return 'stdout' in answer && !answer.stdout.includes('nf_tables');
}

/** `why`: the program did not run to its end; without it, it ended with a failure. */
interface RunFailure {
  readonly reason: string;
  readonly why?: CommandFailure;
}

/** stdout, or the failure as an outcome. */
export async function run(file: string, args: readonly string[], input = ''): Promise<{ stdout: string } | RunFailure> {
  try {
    const env = lockEnvironment();
    const { exitCode, stdout, stderr } = await runLight(file, args, TIMEOUT_MS, { input, env, keepsOutput: true });
    if (exitCode === 0) return { stdout };
    return { reason: `${file} ended with ${exitCode ?? 'a signal'}: ${stderr.trim()}` };
  } catch (error) {
    if (error instanceof CommandError) return { reason: error.message, why: error.code };
    throw error;
  }
}

export async function change(file: string, args: readonly string[], input: string): Promise<NatOutcome> {
  const answer = await run(file, args, input);
  return 'reason' in answer ? { kind: 'failed', reason: answer.reason } : { kind: 'changed' };
}

const withoutSpaces = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** Our table's listing; undefined when there is none or nft does not work, which applying will tell. */
async function nftListing(): Promise<string | undefined> {
  // -s: without counters and other state.
  const answer = await run('nft', ['-s', 'list', 'table', 'ip', NFT_TABLE]);
  return 'reason' in answer ? undefined : answer.stdout;
}

export const nftables: NatBackend = {
  name: 'nftables',
  apply: async (rules) => {
    const listing = await nftListing();
    if (listing !== undefined && withoutSpaces(listing) === withoutSpaces(nftTable(rules)))
      return { kind: 'unchanged' };
    return change('nft', ['-f', '-'], nftReplace(rules));
  },
  remove: async () => {
    if ((await nftListing()) === undefined) return { kind: 'unchanged' };
    return change('nft', ['-f', '-'], nftRemove());
  },
};

/** Wait for others that hold the lock of the legacy tables (iptables(8), -w), in seconds. */
export const RESTORE = ['--noflush', '-w', '2'];

export const iptables: NatBackend = {
  name: 'iptables',
  apply: async (rules) => {
    const saved = await run('iptables-save', ['-t', 'nat']);
    if ('reason' in saved) return { kind: 'failed', reason: saved.reason };
    const present = iptablesOwnLines(saved.stdout);
    if (present.toSorted().join('\n') === iptablesWanted(rules).toSorted().join('\n')) return { kind: 'unchanged' };
    return change('iptables-restore', RESTORE, iptablesReplace(rules, present));
  },
  remove: async () => {
    const saved = await run('iptables-save', ['-t', 'nat']);
    if ('reason' in saved || !saved.stdout.includes(IPTABLES_CHAIN)) return { kind: 'unchanged' };
    return change('iptables-restore', RESTORE, iptablesRemove(iptablesOwnLines(saved.stdout)));
  },
};
