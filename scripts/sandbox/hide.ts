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
  for (const program of programs) runIn(sandbox, 'mount --bind "$2" "$(command -v "$1")"', program, STAND_IN);
}

/** Undoes `hidePrograms`. */
export function showPrograms(sandbox: Sandbox, programs: readonly string[]): void {
  for (const program of programs) runIn(sandbox, 'umount "$(command -v "$1")"', program);
}

function runIn(sandbox: Sandbox, script: string, program: string, ...rest: readonly string[]): void {
  const [file, args] = sandbox.enter(['sh', '-c', script, 'sh', program, ...rest]);
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} cannot be hidden or shown: ${stderr.trim()}`);
}
