// Runs fuzzed requests against a target and sums up what came of them.

import { Buffer } from 'node:buffer';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type FuzzCase, fuzzCase } from './case.ts';
import { judge } from './judge.ts';
import type { Figures, Sockets } from './target.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly requests: number;
  /** The first number. */
  readonly from?: number;
}

export interface Failure {
  /** Of the case: the same seed and number make it again. */
  readonly number: number;
  readonly problem: string;
}

export interface FuzzReport {
  readonly seed: number;
  readonly connections: number;
  readonly requests: number;
  readonly seconds: number;
  /** How many answers had which status. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
  /** The target when a part was through, and at the end. */
  readonly before: Figures;
  readonly after: Figures;
}

const CONNECTIONS = 16;
/** After this part, what is loaded lazily is loaded and caches are full. */
const WARM_PART = 0.25;
/** The fakes' memory of what was stored is emptied this often. */
const ROUND = 5_000;
/** Milliseconds: no answer within them is a hang, not slowness. */
const HANG_MS = 60_000;
const MAX_FAILURES = 50;
/** A stream of events has no end: it is left after its first bytes. */
const EVENTS = /^content-type: text\/event-stream\r$/im;

export async function fuzz({ seed, requests, from = 0 }: FuzzOptions): Promise<FuzzReport> {
  const target = await startTarget();
  const statuses: Record<string, number> = {};
  const failures: Failure[] = [];
  const started = performance.now();
  let sent = 0;
  let next = from;
  let before: Figures | undefined;
  const one = async (): Promise<void> => {
    const number = next++;
    const fuzzed = fuzzCase(seed, number);
    sent += fuzzed.requests;
    const problems: string[] = [];
    try {
      const { received, error } = await exchange(fuzzed, target.sockets[fuzzed.socket]);
      const verdict = judge(fuzzed, received);
      for (const status of verdict.statuses) statuses[status] = (statuses[status] ?? 0) + 1;
      problems.push(...verdict.problems.map((problem) => (error === undefined ? problem : `${problem} (${error})`)));
    } catch (error) {
      problems.push(String(error));
    }
    failures.push(...problems.map((problem) => ({ number, problem })));
  };
  const goesOn = (until: number): boolean => sent < until && failures.length < MAX_FAILURES && target.isAlive();
  try {
    while (goesOn(requests)) {
      const until = Math.min(
        requests,
        sent + ROUND,
        before === undefined ? Math.max(1, requests * WARM_PART) : requests,
      );
      const worker = async (): Promise<void> => {
        while (goesOn(until)) await one();
      };
      await Promise.all(Array.from({ length: Math.min(CONNECTIONS, requests) }, worker));
      if (!target.isAlive()) break;
      const figures = await target.figures();
      if (sent >= requests * WARM_PART) before ??= figures;
    }
    if (!target.isAlive()) failures.push({ number: next - 1, problem: `ctl-svc ended: ${target.lastWords()}` });
    const none: Figures = { heapBytes: 0, externalBytes: 0, residentBytes: 0, descriptors: 0 };
    const after = target.isAlive() ? await target.figures() : none;
    const seconds = (performance.now() - started) / 1000;
    return {
      seed,
      connections: next - from,
      requests: sent,
      seconds,
      statuses,
      failures,
      before: before ?? after,
      after,
    };
  } finally {
    await target.end();
  }
}

interface Target {
  readonly sockets: Sockets;
  isAlive(): boolean;
  lastWords(): string;
  figures(): Promise<Figures>;
  end(): Promise<void>;
}

async function startTarget(): Promise<Target> {
  const child = fork(join(import.meta.dirname, 'target.ts'), {
    execArgv: ['--expose-gc', '--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    words = `${words}${chunk.toString()}`.slice(-2_000);
  });
  const exited = once(child, 'exit');
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  const sockets = await messageOf<Sockets>(child, exited, () => words);
  return {
    sockets,
    isAlive,
    lastWords: () => words,
    figures() {
      child.send('figures');
      return messageOf<Figures>(child, exited, () => words);
    },
    async end() {
      if (isAlive()) child.send('end');
      await exited;
    },
  };
}

async function messageOf<T>(child: ChildProcess, exited: Promise<unknown>, words: () => string): Promise<T> {
  const [message] = await Promise.race([
    once(child, 'message'),
    exited.then(() => Promise.reject(new Error(`the target ended: ${words()}`))),
  ]);
  return message;
}

interface Exchanged {
  /** All that came until the server ended the connection. */
  readonly received: Buffer;
  readonly error: string | undefined;
}

function exchange(fuzzed: FuzzCase, socketPath: string): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    let error: string | undefined;
    const patience = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection did not end within ${HANG_MS} ms`));
    }, HANG_MS);
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    socket.on('connect', () => void send(socket, fuzzed));
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      if (chunk.includes('text/event-stream') && EVENTS.test(chunk.toString('latin1'))) socket.destroy();
    });
    // The server may end a connection that still sends.
    socket.on('error', ({ message }) => {
      error = message;
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(patience);
      resolve({ received: Buffer.concat(received), error });
    });
  });
}

async function send(socket: ReturnType<typeof connect>, { pieces, end }: FuzzCase): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
  }
  if (end === 'abrupt') socket.destroy();
  else socket.end();
}
