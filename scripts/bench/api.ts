// Bench rows of the control API: GET /containers of 20 containers beside a bare HTTP server with the same bytes and while a container
// floods its own socket, and an upload beside cp and sha256sum.
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openTree } from '../../test/kit/tree.ts';
import { median, type Row } from './row.ts';
import { emptyStorage, ready } from './tree.ts';

const CONCURRENCIES = [1, 8, 128] as const;
/** Milliseconds of load on each server in turn, so often. */
const LOAD_MS = 1_000;
const ROUNDS = 5;
const WARM_MS = 1_500;
const FLOOD_MS = 10_000;
const UPLOAD_BYTES = 200_000_000;
const UPLOADS = 3;
const REQUEST = 'GET /containers HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n';

export async function apiRows(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-api-'));
  const [ctl, socket] = await target(['ctl']);
  const bareSocket = join(folder, 'bare');
  let bare: ChildProcess | undefined;
  try {
    const body = execFileSync('curl', ['-s', '--unix-socket', socket, 'http://localhost/containers']);
    writeFileSync(join(folder, 'body'), body);
    [bare] = await target(['bare', bareSocket, join(folder, 'body')]);
    const rows: Row[] = [];
    for (const path of [socket, bareSocket]) await load(path, 8, WARM_MS);
    for (const concurrency of CONCURRENCIES) rows.push(...(await loadRows(socket, bareSocket, concurrency)));
    rows.push(...(await floodRows(ctl, socket)), await uploadRow());
    return rows;
  } finally {
    ctl.kill();
    bare?.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function target(args: readonly string[]): Promise<[ChildProcess, string]> {
  const child = fork(join(import.meta.dirname, 'api-target.ts'), args, {
    execArgv: ['--max-semi-space-size=1', '--import', 'tsx'],
  });
  const [path] = await once(child, 'message');
  return [child, String(path)];
}

async function loadRows(socket: string, bareSocket: string, concurrency: number): Promise<Row[]> {
  const ours: Load[] = [];
  const theirs: Load[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await load(socket, concurrency, LOAD_MS));
    theirs.push(await load(bareSocket, concurrency, LOAD_MS));
  }
  const middle = (loads: readonly Load[], of: (load: Load) => number): number => median(loads.map(of));
  const isGoal = concurrency === 8;
  const name = `GET /containers of 20, ${concurrency} at a time`;
  const baseline = 'bare node:http';
  return [
    {
      name,
      unit: 'requests/s',
      value: middle(ours, ({ rate }) => rate),
      better: 'higher',
      baseline: { name: baseline, value: middle(theirs, ({ rate }) => rate) },
      ...(isGoal ? { goal: '≥ 10,000, ratio ≥ 0.5' } : {}),
    },
    {
      name: `${name}, p99`,
      unit: 'ms',
      value: middle(ours, ({ p99Ms }) => p99Ms),
      better: 'lower',
      baseline: { name: baseline, value: middle(theirs, ({ p99Ms }) => p99Ms) },
      ...(isGoal ? { goal: '≤ 5 ms' } : {}),
    },
  ];
}

/** What the host's clients notice of a container that floods its own socket over all the connections that it may have. */
async function floodRows(ctl: ChildProcess, socket: string): Promise<Row[]> {
  const residentMb = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${ctl.pid}/status`, 'utf8'))?.[1]) / 1000;
  const calm = await load(socket, 1, FLOOD_MS);
  const before = residentMb();
  const [flooder] = await target(['flood', join(dirname(socket), 'app-0')]);
  try {
    const flooded = await load(socket, 1, FLOOD_MS);
    const name = 'GET /containers of 20 while a container floods, p99';
    return [
      {
        name,
        unit: 'ms',
        value: flooded.p99Ms,
        better: 'lower',
        goal: '≤ 10 ms',
        baseline: { name: 'no flood', value: calm.p99Ms },
      },
      {
        name: 'memory of ctl-svc in that flood',
        unit: 'MB',
        value: residentMb(),
        better: 'lower',
        baseline: { name: 'before', value: before },
      },
    ];
  } finally {
    flooder.kill();
  }
}

interface Load {
  /** Answers a second. */
  readonly rate: number;
  readonly p99Ms: number;
}

/** Each connection asks again when it has its answer. Only the length of the answer is looked at: the client must not be what is measured. */
async function load(path: string, connections: number, durationMs: number): Promise<Load> {
  const times: number[] = [];
  const start = performance.now();
  const one = async (): Promise<void> => {
    const socket = connect(path);
    await once(socket, 'connect');
    let answerBytes = 0;
    let received = 0;
    let asked = performance.now();
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('data', (chunk: Buffer) => {
        if (answerBytes === 0) answerBytes = lengthOf(chunk);
        received += chunk.length;
        if (received < answerBytes) return;
        const now = performance.now();
        times.push(now - asked);
        if (now - start > durationMs) {
          resolve();
          return;
        }
        received = 0;
        answerBytes = 0;
        asked = now;
        socket.write(REQUEST);
      });
      socket.write(REQUEST);
    });
    socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, one));
  const seconds = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  return { rate: times.length / seconds, p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN };
}

/** Of head and body; the head comes in one piece. */
function lengthOf(first: Buffer): number {
  const head = first.toString('latin1', 0, 400);
  if (!head.startsWith('HTTP/1.1 200')) throw new Error(head);
  return head.indexOf('\r\n\r\n') + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1]);
}

/** Through the whole tree: hashed as it comes, checked for room, synced to disk. */
async function uploadRow(): Promise<Row> {
  const ours: number[] = [];
  const theirs: number[] = [];
  const tree = await openTree(emptyStorage());
  try {
    tree.start();
    await ready(tree);
    const file = join(tree.storage, 'upload');
    const copy = join(tree.storage, 'copy');
    for (let round = 0; round < UPLOADS; round += 1) {
      const bytes = Buffer.alloc(UPLOAD_BYTES, `round ${round} of this bench`);
      writeFileSync(file, bytes);
      const name = createHash('sha256').update(bytes).digest('hex');
      theirs.push(
        timed(() => {
          execFileSync('cp', [file, copy]);
          execFileSync('sha256sum', [copy]);
        }),
      );
      rmSync(copy);
      const args = ['-s', '-f', '--unix-socket', tree.socket, '-T', file, `http://localhost/objects/${name}`];
      ours.push(timed(() => execFileSync('curl', args)));
    }
  } finally {
    await tree.close();
  }
  return {
    name: 'upload of 200 MB',
    unit: 's',
    value: median(ours) / 1000,
    better: 'lower',
    goal: 'ratio ≤ 1.3',
    baseline: { name: 'cp and sha256sum', value: median(theirs) / 1000 },
  };
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
