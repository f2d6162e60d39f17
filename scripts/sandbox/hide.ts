// Takes programs away from a sandbox, and from it alone: for seeing what is done without them.
import { spawnSync } from 'node:child_process';
import type { Sandbox } from './sandbox.ts';

/** Stands in their place and does nothing but fail. */
const STAND_IN = '/bin/false';

/**
 * Mounts something that fails over each of `programs` in the sandbox's own mount namespace; the mounts end with it. Links are
 * followed: with `iptables` goes everything that is the same file, as iptables-save. Throws when one is not there.
 */
export function hidePrograms(sandbox: Sandbox, programs: readonly string[]): void {
  for (const program of programs) {
    const script = 'mount --bind "$2" "$(command -v "$1")"';
    const [file, args] = sandbox.enter(['sh', '-c', script, 'sh', program, STAND_IN]);
    const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`cannot hide ${program}: ${stderr.trim()}`);
  }
}
