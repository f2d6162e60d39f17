// Bench rows of the whole tree, in a sandbox: start until the control socket answers, boot of the example to all goals, a service that is
// killed until it is ready again, CPU at rest, and memory at rest beside the same number of empty Node processes, each for itself.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { ask } from '../../test/kit/api.ts';
import { eventually } from '../../test/kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../../test/kit/tree.ts';
import { SERVICES } from '../bundles.ts';
import { emptyMemoryMb, memoryMb, REST_MS, runOn, withOwnNode } from './alone.ts';
import { median, type Row } from './row.ts';

const ROUNDS = 5;
const IDLE_MS = 10_000;
const NS_PER_MS = 1_000_000;
/** Of looking whether something has happened: finer than the figures. */
const LOOK_MS = 2;

export async function treeRows(): Promise<Row[]> {
  const starts: number[] = [];
  const boots: number[] = [];
  const empty: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    empty.push(emptyStartMs());
    starts.push(await timed(emptyStorage(), answers));
    boots.push(await timed(packExample('01-basic'), (tree) => tree.up()));
  }
  const baseline = { name: 'an empty node, from start to end', value: median(empty) };
  const { treeMb, bareMb, processes, cpuMsPerSecond, returns } = await atRest();
  return [
    {
      name: 'start of the tree until its control socket answers, no containers',
      unit: 'ms',
      value: median(starts),
      baseline,
      better: 'lower',
      goal: '≤ 250 ms',
    },
    { name: 'boot of the example to all goals', unit: 'ms', value: median(boots), baseline, better: 'lower' },
    {
      name: 'service killed until ready again',
      unit: 'ms',
      value: median(returns),
      baseline,
      better: 'lower',
      goal: '≤ 150 ms',
    },
    {
      name: 'memory of the tree at rest (PSS), no containers',
      unit: 'MB',
      value: treeMb,
      baseline: { name: `${processes} empty node processes`, value: bareMb },
      better: 'lower',
      goal: 'ratio ≤ 1.3, ≤ 95 MB',
    },
    {
      name: 'CPU of the tree at rest',
      unit: 'ms/s',
      value: cpuMsPerSecond,
      better: 'lower',
      goal: '≤ 5 ms/s',
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

async function soon(what: string, look: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!look()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await delay(LOOK_MS);
  }
}

/** Once it is listened on, the one request waits in its queue until ctl-svc is there. */
async function answers(tree: Tree): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = existsSync(tree.socket)
      ? await ask(tree.socket, 'GET', '/containers').catch(() => undefined)
      : undefined;
    if (answer?.status === 200) return;
    if (performance.now() > end) throw new Error(`GET /containers: ${answer?.status ?? 'no'} answer`);
    await delay(LOOK_MS);
  }
}

/** Milliseconds. What every process of the tree costs before its first line: how fast this machine is today. */
function emptyStartMs(): number {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, ['-e', '0'], { env: {} });
  if (status !== 0) throw new Error(`${process.execPath} -e 0: ended with ${status}`);
  return performance.now() - start;
}

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

/** The empty ones have ended before the tree starts: both would share pages that on a device only one of them has. */
async function atRest() {
  const processes = 1 + SERVICES.length;
  return await withOwnNode(async (node) => {
    const bareMb = await emptyMemoryMb(node, processes);
    const tree = await openTree(emptyStorage());
    try {
      runOn(tree, node);
      tree.start();
      await ready(tree);
      await delay(REST_MS);
      const pids = tree.processes();
      if (pids.length !== processes) throw new Error(`${pids.length} processes run, not ${processes}`);
      const treeMb = memoryMb(pids);
      const before = cpuMs(pids);
      await delay(IDLE_MS);
      const cpuMsPerSecond = ((cpuMs(pids) - before) * 1000) / IDLE_MS;
      return { treeMb, bareMb, processes, cpuMsPerSecond, returns: await killEach(tree) };
    } finally {
      await tree.close();
    }
  });
}

/** Milliseconds from the signal to the word of the supervisor, for each service once: a second end is answered more slowly by design. */
async function killEach(tree: Tree): Promise<readonly number[]> {
  const times: number[] = [];
  for (const service of SERVICES) {
    const pid = tree
      .processes()
      .find((each) => readFileSync(`/proc/${each}/cmdline`, 'utf8').includes(`/${service}.js`));
    if (pid === undefined) throw new Error(`${service} does not run`);
    const words = `berth: ${service} ready`;
    const seen = tree.output().split(words).length;
    const start = performance.now();
    process.kill(pid, 'SIGKILL');
    await soon(`${service} ready again`, () => tree.output().split(words).length > seen);
    times.push(performance.now() - start);
  }
  return times;
}

/** Of all their threads, by the scheduler's own clock: the first figure of /proc/<pid>/task/<tid>/schedstat. */
function cpuMs(pids: readonly number[]): number {
  const spent = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((task) =>
      Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
    ),
  );
  return sum(spent) / NS_PER_MS;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
