// Bench rows of the whole tree, in a sandbox: start to ready, boot of the example to all goals, memory at rest beside the
// same number of empty Node processes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { proportionalMemory } from '../../services/supervisor/process-record.ts';
import { get, serviceRows } from '../../test/kit/api.ts';
import { eventually } from '../../test/kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../../test/kit/tree.ts';
import { median, type Row } from './row.ts';

const ROUNDS = 5;
/** After the start, until its garbage is collected once and only heartbeats happen. */
const REST_MS = 2_000;
const BYTES_PER_MB = 1_000_000;

export async function treeRows(): Promise<Row[]> {
  const starts: number[] = [];
  const boots: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    starts.push(await timed(emptyStorage(), ready));
    boots.push(await timed(packExample('01-basic'), (tree) => tree.up()));
  }
  const { treeMb, bareMb, processes } = await memoryAtRest();
  return [
    { name: 'start of the tree to ready, no containers', unit: 'ms', value: median(starts), better: 'lower' },
    { name: 'boot of the example to all goals', unit: 'ms', value: median(boots), better: 'lower' },
    {
      name: 'memory of the tree at rest (PSS), no containers',
      unit: 'MB',
      value: treeMb,
      baseline: { name: `${processes} empty node processes`, value: bareMb },
      better: 'lower',
    },
  ];
}

/** A storage whose revision 0 has no containers. */
export function emptyStorage(): string {
  const storage = mkdtempSync(join(tmpdir(), 'berth-storage-'));
  chmodSync(storage, 0o755);
  mkdirSync(join(storage, 'trails/0/.pvr'), { recursive: true });
  const state = { '#spec': 'pantavisor-service-system@1', 'device.json': {} };
  writeFileSync(join(storage, 'trails/0/.pvr/json'), JSON.stringify(state));
  return storage;
}

export const ready = (tree: Tree): Promise<unknown> =>
  eventually('up', PATIENCE_MS, () => (tree.output().includes('berth: up') ? true : undefined));

/** Milliseconds from the start of the supervisor until `reached`. */
async function timed(storage: string, reached: (tree: Tree) => Promise<unknown>): Promise<number> {
  const tree = await openTree(storage);
  try {
    const start = performance.now();
    tree.start();
    await reached(tree);
    return performance.now() - start;
  } finally {
    await tree.close();
  }
}

/** Both at once, so that the pages of the node binary are shared among the same processes. */
async function memoryAtRest() {
  const tree = await openTree(emptyStorage());
  try {
    tree.start();
    await ready(tree);
    const names = (await get(tree.socket, '/services', serviceRows)).map(({ name }) => name);
    const bare = names.concat('supervisor').map(() => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e9)']));
    await Promise.all(bare.map((child) => once(child, 'spawn')));
    await delay(REST_MS);
    const treeMb = sum(tree.processes().map(proportionalMemory));
    const bareMb = sum(bare.map(({ pid }) => proportionalMemory(pid ?? 0)));
    for (const child of bare) child.kill();
    return { treeMb, bareMb, processes: bare.length };
  } finally {
    await tree.close();
  }
}

const sum = (bytes: readonly number[]): number => bytes.reduce((total, value) => total + value, 0) / BYTES_PER_MB;
