// Source: the pipe that one service of ours writes its log to, one JSON object a line.
import { readSync } from 'node:fs';
import { Socket } from 'node:net';
import { type AcceptedStore, openAcceptedStore } from './accepted-store.ts';
import { createLineSplitter } from './line-splitter.ts';
import type { LogSink, LogSource } from './log-flow.ts';
import { parseServiceLine } from './service-line.ts';

const MAX_LINE_BYTES = 16 * 1024;
/** What a pipe holds (pipe(7)); also what libuv reads at once. */
const PIPE_BYTES = 64 * 1024;

export interface ServicePipe {
  /** The service at the other end. */
  readonly origin: string;
  /** A read end that does not block. Somebody else keeps it open too, so what is not read stays for our successor. */
  readonly fd: number;
  /** Where accepted bytes are kept until they are laid down. */
  readonly acceptedPath: string;
}

export function createServicePipe({ origin, fd, acceptedPath }: ServicePipe): LogSource {
  let stop: () => void = () => undefined;
  return {
    start(sink) {
      const store = openAcceptedStore(acceptedPath);
      const take = lineTaker(origin, store, sink);
      take.again(store.leftOver);
      const socket = new Socket({ fd, readable: true, writable: false });
      socket.on('data', take.fresh);
      // The last writer is gone; there is nothing left to read.
      socket.on('error', () => undefined);
      stop = () => {
        socket.pause();
        for (const chunk of waiting(fd)) take.fresh(chunk);
        store.close();
        socket.destroy();
      };
    },
    stop: () => stop(),
    troubles: () => [],
  };
}

/** Everything happens before the event loop goes on: a kill finds a chunk in the pipe, in the store, or laid down. */
function lineTaker(origin: string, store: AcceptedStore, sink: LogSink) {
  const splitter = createLineSplitter(MAX_LINE_BYTES);
  const again = (chunk: Buffer): void => {
    const lines = splitter.push(chunk);
    const nowMs = Date.now();
    if (lines.length > 0) sink.messages(lines.flatMap((line) => parseServiceLine(line, origin, nowMs)));
    store.finish(splitter.pendingBytes);
  };
  const fresh = (chunk: Buffer): void => {
    store.accept(chunk);
    again(chunk);
  };
  return { again, fresh };
}

/** What is in the pipe right now. Bounded, so that a writer that never pauses cannot keep us from ending. */
function* waiting(fd: number): Generator<Buffer> {
  const chunk = Buffer.alloc(PIPE_BYTES);
  for (let rounds = 0; rounds < 64; rounds++) {
    let length = 0;
    try {
      length = readSync(fd, chunk, 0, chunk.length, null);
    } catch {
      // EAGAIN: empty.
    }
    if (length === 0) return;
    yield chunk.subarray(0, length);
  }
}
