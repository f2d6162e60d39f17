// Programs that packing needs, run with argument arrays; a missing one is named with the package that has it.
import { spawn } from 'node:child_process';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';

/** Program → Debian package. */
const PACKAGES: Readonly<Record<string, string>> = { mksquashfs: 'squashfs-tools', tar: 'tar' };
const KEPT_STDERR = 2000;

/** What the user can do something about: its message goes to them without a stack. */
export class PackFailure extends Error {}

/** Resolves when the program ended with 0; throws PackFailure otherwise. No timeout: a root filesystem takes as long as it takes. */
export function runProgram(
  file: string,
  args: readonly string[],
  onOutput: (text: string) => void = () => undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
    });
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', onOutput);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-KEPT_STDERR);
    });
    child.once('error', (error) => reject(new PackFailure(startFailure(file, error))));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new PackFailure(`${file} ended with ${signal ?? code}: ${complaint.trim()}`));
    });
  });
}

function startFailure(file: string, error: Error): string {
  const isMissing = errorCode(error) === 'ENOENT';
  if (!isMissing) return `${file} cannot be started: ${reasonOf(error)}`;
  return `${file} not found in PATH; on Debian: apt-get install ${PACKAGES[file] ?? file}`;
}
