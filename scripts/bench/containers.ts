// Bench rows of containers, in a sandbox: boot to all goals, stop and start, crash to running again, each beside bare LXC on the
// same root filesystem in the same run.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as z from 'zod/mini';
import { containerRow } from '../../shared/schema/api.ts';
import { ask } from '../../test/kit/api.ts';
import { openTree, packExample, type Tree } from '../../test/kit/tree.ts';
import { goalsMet } from './goals-met.ts';
import { BARE_LXC, nameOf, writeIdleSource } from './idle-containers.ts';
import { median, type Row } from './row.ts';

const ROUNDS = 5;
const CYCLES = 10;
const COUNTS = [1, 5, 20] as const;
const GOALS: Readonly<Record<number, string>> = { 1: '≤ 300 ms', 5: '≤ 350 ms', 20: '≤ 500 ms' };
const AT_A_TIME = Math.max(2, availableParallelism());

export async function containerRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of COUNTS) rows.push(...(await rowsFor(count)));
  return rows;
}

async function rowsFor(count: number): Promise<Row[]> {
  const source = writeIdleSource(count);
  const packed = packExample(source);
  try {
    const boots: number[] = [];
    const bare: BareTimes[] = [];
    let cycles: Cycles | undefined;
    for (let round = 0; round < ROUNDS; round += 1) {
      const tree = await openTree(copyOf(packed));
      try {
        bare.push(bareTimes(tree, count));
        boots.push(await bootMs(tree));
        if (count === 1 && round === 0) cycles = await measureCycles(tree);
        await tree.endSupervisor('SIGINT');
      } finally {
        await tree.close();
      }
    }
    const plural = count === 1 ? '1 container' : `${count} containers`;
    const boot: Row = {
      name: `boot to all goals, ${plural}`,
      unit: 'ms',
      value: median(boots),
      baseline: { name: `lxc-start alone, ${AT_A_TIME} at a time`, value: median(bare.map(({ startMs }) => startMs)) },
      better: 'lower',
      goal: GOALS[count] ?? '',
    };
    return cycles === undefined ? [boot] : [boot, ...cycleRows(cycles, median(bare.map(({ cycleMs }) => cycleMs)))];
  } finally {
    rmSync(packed, { recursive: true, force: true });
    rmSync(source, { recursive: true, force: true });
  }
}

function cycleRows({ restarts, crashes }: Cycles, bareCycleMs: number): Row[] {
  return [
    {
      name: 'stop and start of an obedient container',
      unit: 'ms',
      value: median(restarts),
      baseline: { name: 'lxc-stop and lxc-start', value: bareCycleMs },
      better: 'lower',
      goal: '≤ 100 ms',
    },
    {
      name: 'crash to running again, retry_delay 0',
      unit: 'ms',
      value: median(crashes),
      better: 'lower',
      goal: '≤ 150 ms',
    },
  ];
}

/** A storage is removed with its tree. Hard links stay links. */
function copyOf(storage: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'berth-storage-'));
  execFileSync('cp', ['--archive', `${storage}/.`, copy]);
  return copy;
}

interface BareTimes {
  readonly startMs: number;
  readonly cycleMs: number;
}

/** With programs of their own and nothing around them: the floor under everything that starts LXC containers. */
function bareTimes(tree: Tree, count: number): BareTimes {
  const image = join('/run/berth/storage/trails/0', nameOf(0), 'root.squashfs');
  const { stdout, stderr } = tree.inside(['sh', '-c', BARE_LXC, 'bare', image, String(count), String(AT_A_TIME)]);
  const [, start, cycle] = /^times (\d+) (\d+)$/m.exec(stdout) ?? [];
  if (start === undefined || cycle === undefined) throw new Error(`bare LXC: ${stderr}`);
  return { startMs: Number(start) / 1000, cycleMs: Number(cycle) / 1000 };
}

async function bootMs(tree: Tree): Promise<number> {
  const began = performance.now();
  tree.start();
  await goalsMet(tree.socket);
  return performance.now() - began;
}

interface Cycles {
  readonly restarts: readonly number[];
  readonly crashes: readonly number[];
}

async function measureCycles(tree: Tree): Promise<Cycles> {
  const container = nameOf(0);
  const events = await openEvents(tree.socket);
  let pid = await events.running(0);
  const restarts: number[] = [];
  const crashes: number[] = [];
  try {
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const stopped = performance.now();
      await act(tree, container, 'stop');
      await events.stopped();
      await act(tree, container, 'start');
      pid = await events.running(pid);
      restarts.push(performance.now() - stopped);
      const crashed = performance.now();
      // Through nsenter, whose own start is part of the figure.
      tree.inside(['kill', '-KILL', String(pid)]);
      pid = await events.running(pid);
      crashes.push(performance.now() - crashed);
    }
  } finally {
    events.close();
  }
  return { restarts, crashes };
}

async function act(tree: Tree, container: string, action: 'start' | 'stop'): Promise<void> {
  const { status, body } = await ask(tree.socket, 'PUT', `/containers/${container}`, { action });
  if (status !== 200) throw new Error(`${action} answered ${status}: ${body}`);
}

interface ContainerEvents {
  /** Resolves with the pid of the next run, another one than `previous`. */
  running(previous: number): Promise<number>;
  stopped(): Promise<void>;
  close(): void;
}

/** The rows of the one container, as GET /events tells them; what was told before somebody waits for it counts as well. */
async function openEvents(socketPath: string): Promise<ContainerEvents> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path: '/events' }, resolve).on('error', reject).end();
  });
  const [first] = z.array(containerRow).parse(JSON.parse((await ask(socketPath, 'GET', '/containers')).body));
  let row = first;
  let look: () => void = () => undefined;
  createInterface(response).on('line', (line) => {
    const parsed = line.startsWith('data: ') ? containerRow.safeParse(JSON.parse(line.slice(6))) : undefined;
    if (parsed?.success !== true) return;
    row = parsed.data;
    look();
  });
  const until = <T>(found: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      look = () => {
        const value = found();
        if (value !== undefined) resolve(value);
      };
      look();
    });
  return {
    running: (previous) =>
      until(() => (row?.status === 'STARTED' && row.pid !== null && row.pid !== previous ? row.pid : undefined)),
    stopped: () => until(() => (row?.status === 'STOPPED' ? true : undefined)).then(() => undefined),
    close: () => response.destroy(),
  };
}
