// The two ends of the broker's bench, and the relay between them, over our messages, bare bytes or Node's own child-process
// IPC. argv: `ours`, `bytes` or `node`, then `answer` or `ask`.
import { Socket } from 'node:net';
import process from 'node:process';
import { createChannel } from '../../shared/ipc/channel.ts';
import { ok } from '../../shared/ipc/contract.ts';
import { HEADER_BYTES } from '../../shared/ipc/envelope.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { BENCH_HASH, type BenchResult, benchContract } from './broker-contract.ts';

const SEQUENTIAL = 2_000;
const PARALLEL = 20_000;
const IN_FLIGHT = 64;
/** 100 bytes with the rest of the payload. */
const TEXT = 'x'.repeat(90);

/** Length, envelope and payload of `echo`. */
const BYTES_OF_A_MESSAGE = HEADER_BYTES + 100;

type Ask = (text: string) => Promise<unknown>;

async function measure(ask: Ask): Promise<BenchResult> {
  for (let count = 0; count < SEQUENTIAL; count += 1) await ask(TEXT);
  const times: number[] = [];
  for (let count = 0; count < SEQUENTIAL; count += 1) {
    const start = performance.now();
    await ask(TEXT);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const start = performance.now();
  let left = PARALLEL;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await ask(TEXT);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const seconds = (performance.now() - start) / 1000;
  return { p50Us: (times[SEQUENTIAL / 2] ?? 0) * 1000, perSecond: PARALLEL / seconds };
}

function report(result: BenchResult): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function ours(role: string): Promise<void> {
  const channel = createChannel(socketPort(3), { contractsHash: BENCH_HASH, log: silentLogger, beatMs: 0 });
  if (role === 'answer') {
    channel.serve(benchContract, { echo: ({ text }) => ok({ text }) });
    channel.ready();
    return;
  }
  const client = channel.client(benchContract);
  report(await measure((text) => client.echo({ text })));
}

/** As many bytes as one of our messages has; whoever asked first is answered first. */
async function bytes(role: string): Promise<void> {
  const socket = new Socket({ fd: 3, readable: true, writable: true });
  if (role === 'answer') {
    socket.on('data', (chunk) => socket.write(chunk));
    return;
  }
  const message = Buffer.alloc(BYTES_OF_A_MESSAGE);
  const waiting: (() => void)[] = [];
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    for (; received >= message.length; received -= message.length) waiting.shift()?.();
  });
  report(
    await measure(
      () =>
        new Promise<void>((resolve) => {
          waiting.push(resolve);
          socket.write(message);
        }),
    ),
  );
}

async function nodes(role: string): Promise<void> {
  if (role === 'answer') {
    process.on('message', (message) => process.send?.(message));
    return;
  }
  const waiting = new Map<number, () => void>();
  let last = 0;
  process.on('message', (message: { id: number }) => {
    waiting.get(message.id)?.();
    waiting.delete(message.id);
  });
  report(
    await measure(
      (text) =>
        new Promise<void>((resolve) => {
          last += 1;
          waiting.set(last, resolve);
          process.send?.({ id: last, text });
        }),
    ),
  );
}

const [kind = '', role = ''] = process.argv.slice(2);
await (kind === 'ours' ? ours(role) : kind === 'bytes' ? bytes(role) : nodes(role));
