// Memory as on a device, where no other Node process runs: of a copy of the node binary, whose pages nobody else on this machine shares.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { proportionalMemory } from '../../services/supervisor/process-record.ts';
import type { Tree } from '../../test/kit/tree.ts';
import { NODE_INSIDE } from '../sandbox/sandbox.ts';

const BYTES_PER_MB = 1_000_000;
/** V8 gives back what a start took once little has been allocated for some twenty seconds; what it holds until then is no rest. */
export const REST_MS = 25_000;

/** Removed when `use` has ended, by when nothing may run from it any more. */
export async function withOwnNode<T>(use: (node: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-node-'));
  try {
    // Services run as users of their own.
    chmodSync(folder, 0o755);
    const node = join(folder, 'node');
    copyFileSync(process.execPath, node);
    return await use(node);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the tree starts from here on is `node`; the simulated host outside, which is no part of it, runs already and is not. */
export function runOn(tree: Tree, node: string): void {
  const { status, stderr } = tree.inside(['mount', '--bind', node, NODE_INSIDE]);
  if (status !== 0) throw new Error(`${node} cannot be the node of a sandbox: ${stderr}`);
}

export const memoryMb = (pids: readonly number[]): number =>
  pids.reduce((total, pid) => total + proportionalMemory(pid), 0) / BYTES_PER_MB;

/** Proportional memory of `count` processes of `node` that do nothing, at rest; they have ended by then. */
export async function emptyMemoryMb(node: string, count: number): Promise<number> {
  const empty = Array.from({ length: count }, () =>
    spawn(node, ['-e', 'setInterval(() => {}, 1e9)'], { stdio: 'ignore' }),
  );
  const ended = empty.map((child) => once(child, 'exit'));
  try {
    await Promise.all(empty.map((child) => once(child, 'spawn')));
    await delay(REST_MS);
    return memoryMb(empty.map(({ pid }) => pid ?? 0));
  } finally {
    for (const child of empty) child.kill();
    await Promise.all(ended);
  }
}
