// Source: the pipes that the services of ours write their logs to, one JSON object a line.
import { readSync } from 'node:fs';
import { Socket } from 'node:net';
import { openAcceptedStore } from './accepted-store.ts';
import { createLineSplitter } from './line-splitter.ts';
import type { LogMessage, LogSink, LogSource } from './log-flow.ts';
import { parseServiceLine } from './service-line.ts';
import { inTimeOrder } from './time-order.ts';

const MAX_LINE_BYTES = 16 * 1024;
/** What a pipe holds (pipe(7)); also what libuv reads at once. */
const PIPE_BYTES = 64 * 1024;
const MAX_LAST_READS = 64;
/** After a read that took all there was: services write line by line, and a start of containers makes all of them write. */
const PAUSE_MS = 50;

export interface ServicePipe {
  /** The service at the other end. */
  readonly origin: string;
  /** A read end that does not block. Somebody else keeps it open too, so what is not read stays for our successor. */
  readonly fd: number;
  /** Where accepted bytes are kept until they are laid down. */
  readonly acceptedPath: string;
}

export function createServicePipes(pipes: readonly ServicePipe[]): LogSource {
  let stops: readonly (() => void)[] = [];
  return {
    start(sink) {
      const takers = pipes.map((pipe) => ({ pipe, taker: lineTaker(pipe, sink) }));
      // What waited for this process, of all of them at once: people read it as it happened.
      const chunk = Buffer.alloc(PIPE_BYTES);
      const waited = inTimeOrder(takers.map(({ pipe: { fd }, taker }) => taker.take(waitingIn(fd, chunk))));
      if (waited.length > 0) sink.messages(waited);
      for (const { taker } of takers) taker.finish();
      stops = takers.map(({ pipe: { fd }, taker }) => follow(fd, taker, chunk));
    },
    stop() {
      for (const stop of stops) stop();
    },
    troubles: () => [],
  };
}

/**
 * Answers how to hand on what is there and let go. `chunk`: what is read into, also by others, as it is taken before anything else is read.
 * While it pauses, lines stay in the pipe, where our death does not touch them.
 */
function follow(fd: number, taker: LineTaker, chunk: Buffer): () => void {
  let timer: NodeJS.Timeout | undefined;
  const callback = (length: number): boolean => {
    taker.handOn(chunk.subarray(0, length));
    if (length === chunk.length) return true;
    timer = setTimeout(() => socket.resume(), PAUSE_MS);
    return false;
  };
  const onread = { buffer: chunk, callback };
  // It reads into a buffer of ours instead of into its own, which it would go on to fill while nobody takes anything.
  const options = { fd, readable: true, writable: false, onread };
  const socket = new Socket(options);
  // The last writer is gone; there is nothing left to read.
  socket.on('error', () => undefined);
  return () => {
    clearTimeout(timer);
    socket.pause();
    // Bounded, so that a writer that never pauses cannot keep us from ending.
    for (let rounds = 0; rounds < MAX_LAST_READS; rounds += 1) {
      const waiting = waitingIn(fd, chunk);
      if (waiting.length === 0) break;
      taker.handOn(waiting);
    }
    taker.close();
    socket.destroy();
  };
}

interface LineTaker {
  /** The messages that it completes, the first time with those of what a predecessor accepted. The caller hands them on, and then calls `finish`. */
  take(chunk: Buffer): readonly LogMessage[];
  finish(): void;
  /** All three. */
  handOn(chunk: Buffer): void;
  close(): void;
}

/** Everything happens before the event loop goes on: a kill finds a chunk in the pipe, in the store, or laid down. */
function lineTaker({ origin, acceptedPath }: ServicePipe, sink: LogSink): LineTaker {
  const store = openAcceptedStore(acceptedPath);
  const splitter = createLineSplitter(MAX_LINE_BYTES);
  let before = splitter.push(store.leftOver);
  const take = (chunk: Buffer): readonly LogMessage[] => {
    if (chunk.length > 0) store.accept(chunk);
    const lines = [...before, ...splitter.push(chunk)];
    before = [];
    const nowMs = Date.now();
    return lines.flatMap((line) => parseServiceLine(line, origin, nowMs));
  };
  const finish = (): void => store.finish(splitter.pendingBytes);
  return {
    take,
    finish,
    handOn(chunk) {
      const messages = take(chunk);
      if (messages.length > 0) sink.messages(messages);
      finish();
    },
    close: () => store.close(),
  };
}

/** What one read finds in the pipe right now: a part of `chunk`, empty when there is nothing. */
function waitingIn(fd: number, chunk: Buffer): Buffer {
  try {
    return chunk.subarray(0, readSync(fd, chunk, 0, chunk.length, null));
  } catch {
    // EAGAIN: empty.
    return chunk.subarray(0, 0);
  }
}
