// Bench rows of the broker: a round trip A → broker → B and back, beside the same through a relay of bare bytes,
// through Node's own child-process IPC and through D-Bus.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';
import { createBroker } from '../../shared/ipc/broker.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { BENCH_HASH, type BenchResult, benchContract, benchResult } from './broker-contract.ts';
import { type Dbus, type Missing, openDbusBroker, openDbusDaemon } from './dbus.ts';
import { firstOutput } from './first-output.ts';
import { type MissingRow, median, type Row } from './row.ts';

const ROUNDS = 3;

export async function brokerRows(): Promise<(Row | MissingRow)[]> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  try {
    const peers = join(folder, 'peers.mjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'broker-peers.ts')],
      outfile: peers,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
    const buses: Bus[] = [
      { name: 'dbus-daemon', open: await openDbusDaemon(folder), results: [], roundTripGoal: 'ratio ≤ 1' },
      { name: 'dbus-broker', open: await openDbusBroker(folder), results: [] },
    ];
    try {
      const ours: BenchResult[] = [];
      const nodes: BenchResult[] = [];
      const relayed: BenchResult[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        ours.push(await throughBroker(peers));
        relayed.push(await throughRelay(peers));
        nodes.push(await throughNodeIpc(peers));
        for (const { open, results } of buses) if ('measure' in open) results.push(await open.measure());
      }
      return [...rowsOf(ours, relayed, nodes), ...buses.flatMap((bus) => besideBus(ours, bus))];
    } finally {
      for (const { open } of buses) if ('close' in open) open.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Bus {
  readonly name: string;
  readonly open: Dbus | Missing;
  readonly results: BenchResult[];
  readonly roundTripGoal?: string;
}

const p50 = (results: readonly BenchResult[]): number => median(results.map(({ p50Us }) => p50Us));
const rate = (results: readonly BenchResult[]): number => median(results.map(({ perSecond }) => perSecond));
const ROUND_TRIP = { name: 'broker round trip, one at a time, p50', unit: 'µs', better: 'lower' } as const;
const IN_FLIGHT = { name: 'broker round trips, 64 in flight', unit: '/s', better: 'higher' } as const;

function rowsOf(
  ours: readonly BenchResult[],
  relayed: readonly BenchResult[],
  nodes: readonly BenchResult[],
): readonly Row[] {
  const relay = { name: 'relay of bare bytes', value: p50(relayed) };
  return [
    { ...ROUND_TRIP, value: p50(ours), baseline: relay, goal: 'ratio ≤ 1.5' },
    { ...IN_FLIGHT, value: rate(ours), baseline: { name: 'node ipc', value: rate(nodes) }, goal: '≥ 100,000' },
  ];
}

function besideBus(
  ours: readonly BenchResult[],
  { name, open, results, roundTripGoal }: Bus,
): readonly (Row | MissingRow)[] {
  if ('missing' in open) return [{ name: `broker beside ${name}`, ...open }];
  const baseline = `${name}, peers in C`;
  return [
    {
      ...ROUND_TRIP,
      name: `${ROUND_TRIP.name}, beside ${name}`,
      value: p50(ours),
      baseline: { name: baseline, value: p50(results) },
      goal: roundTripGoal,
    },
    {
      ...IN_FLIGHT,
      name: `${IN_FLIGHT.name}, beside ${name}`,
      value: rate(ours),
      baseline: { name: baseline, value: rate(results) },
      goal: 'ratio ≥ 1',
    },
  ];
}

async function throughBroker(peers: string): Promise<BenchResult> {
  const broker = createBroker({
    contracts: [benchContract],
    contractsHash: BENCH_HASH,
    log: silentLogger,
    listener: { onReady: () => undefined, onBeat: () => undefined, onGone: () => undefined },
  });
  const start = (service: 'ipam-svc' | 'state-svc', role: string): ChildProcess => {
    const [brokerFd, childFd] = unixSocketPair();
    const child = spawn(process.execPath, [peers, 'ours', role], { stdio: ['ignore', 'pipe', 'inherit', childFd] });
    closeSync(childFd);
    broker.attach(service, socketPort(brokerFd));
    return child;
  };
  const answering = start('ipam-svc', 'answer');
  const result = await resultOf(start('state-svc', 'ask'));
  answering.kill();
  broker.close();
  return result;
}

/** Bytes that nobody looks at, through a process between the two: what is left when a broker does nothing. */
async function throughRelay(peers: string): Promise<BenchResult> {
  const start = (role: string): [ChildProcess, Socket] => {
    const child = spawn(process.execPath, [peers, 'bytes', role], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
    const socket = child.stdio[3];
    if (!(socket instanceof Socket)) throw new Error('no socketpair');
    return [child, socket];
  };
  const [answering, to] = start('answer');
  const [asking, from] = start('ask');
  for (const socket of [to, from]) socket.on('error', () => undefined);
  from.on('data', (bytes) => to.write(bytes));
  to.on('data', (bytes) => from.write(bytes));
  const result = await resultOf(asking);
  answering.kill();
  return result;
}

async function throughNodeIpc(peers: string): Promise<BenchResult> {
  const start = (role: string): ChildProcess =>
    spawn(process.execPath, [peers, 'node', role], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const answering = start('answer');
  const asking = start('ask');
  asking.on('message', (message) => answering.send(message));
  answering.on('message', (message) => {
    if (asking.connected) asking.send(message);
  });
  const result = await resultOf(asking);
  answering.kill();
  return result;
}

/** Reads the one line that the asking end prints, and ends it. */
async function resultOf(child: ChildProcess): Promise<BenchResult> {
  const line = await firstOutput(child);
  child.kill();
  return benchResult.parse(JSON.parse(line));
}
