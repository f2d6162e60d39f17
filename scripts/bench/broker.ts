// Bench rows of the broker: a round trip A → broker → B and back, beside the same through Node's own child-process IPC.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';
import { createBroker } from '../../shared/ipc/broker.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { BENCH_HASH, type BenchResult, benchContract, benchResult } from './broker-contract.ts';
import { median, type Row } from './row.ts';

const ROUNDS = 3;

export async function brokerRows(): Promise<Row[]> {
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
    const ours: BenchResult[] = [];
    const nodes: BenchResult[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      ours.push(await throughBroker(peers));
      nodes.push(await throughNodeIpc(peers));
    }
    return rowsOf(ours, nodes);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function rowsOf(ours: readonly BenchResult[], nodes: readonly BenchResult[]): Row[] {
  const p50 = (results: readonly BenchResult[]): number => median(results.map(({ p50Us }) => p50Us));
  const rate = (results: readonly BenchResult[]): number => median(results.map(({ perSecond }) => perSecond));
  return [
    {
      name: 'broker round trip, one at a time, p50',
      unit: 'µs',
      value: p50(ours),
      baseline: { name: 'node ipc', value: p50(nodes) },
      better: 'lower',
    },
    {
      name: 'broker round trips, 64 in flight',
      unit: '/s',
      value: rate(ours),
      baseline: { name: 'node ipc', value: rate(nodes) },
      better: 'higher',
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
    const child = spawn(process.execPath, [peers, 'ours', role], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
    const socket = child.stdio[3];
    if (!(socket instanceof Socket)) throw new Error('no socketpair');
    broker.attach(service, socketPort(socket));
    return child;
  };
  const answering = start('ipam-svc', 'answer');
  const result = await resultOf(start('state-svc', 'ask'));
  answering.kill();
  broker.close();
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
  if (child.stdout === null) throw new Error('no output');
  const [line] = await once(child.stdout, 'data');
  child.kill();
  return benchResult.parse(JSON.parse(String(line)));
}
