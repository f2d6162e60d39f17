// Runs `npm run hw` as a user does.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

const ROOT = join(import.meta.dirname, '../..');

export type Child = ChildProcessByStdio<null, Readable, Readable>;

export interface Ran {
  readonly status: number | null;
  readonly output: string;
}

export function startProgram(
  program: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Child {
  // Without what would make it a part of this run of node:test.
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  // Its disks are mounted where no other test's namespaces take a copy of them, which would keep them in use.
  const alone = ['--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'slave'];
  return spawn('setpriv', [...alone, program, ...args], {
    cwd: ROOT,
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export const start = (args: readonly string[], more?: Readonly<Record<string, string>>): Child =>
  startProgram(process.execPath, ['--import', 'tsx', 'hw-tests/run.ts', ...args], more);

export async function ended(child: Child): Promise<Ran> {
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await exit, output: stdout + stderr };
}

export const hw = (...args: readonly string[]): Promise<Ran> => ended(start(args));

/** Where the power was cut, and how long the device needed afterwards. */
export const cutsIn = (output: string): readonly string[] =>
  output
    .split('\n')
    .filter((line) => /ℹ (cut|power-on)/.test(line))
    .map((line) => line.trim());
