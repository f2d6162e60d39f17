// A request's body that is too large for memory: taken piece by piece by whoever wants it, or thrown away.
import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { hasBody } from './request-body.ts';

export interface BodyStream {
  /** What Content-Length says; undefined when the body comes in chunks. */
  readonly announcedBytes: number | undefined;
  /** To be read once. Ends early, by throwing, when the client hangs up, or `Stalled`. */
  pieces(): AsyncIterable<Buffer>;
  /**
   * Reads and forgets the rest, so that the client, which is still sending, comes to read its answer. Gives up on one that does
   * not come to an end, or sends more than `maxBytes`.
   */
  discard(maxBytes?: number): Promise<void>;
}

/** Milliseconds: a client that is told no may still be sending, as fast as a socket can be written. */
const DISCARD_MS = 10_000;

/** Its client sent nothing for too long. */
export class Stalled extends Error {}

export interface BodyHooks {
  /** The client may send now. */
  readonly proceed: () => void;
  /** The body was read to its end. */
  readonly onWhole: () => void;
  readonly stallMs: number;
}

export function bodyStream(request: IncomingMessage, { proceed, onWhole, stallMs }: BodyHooks): BodyStream {
  const length = request.headers['content-length'];
  return {
    announcedBytes: length === undefined ? undefined : Number(length),
    async *pieces() {
      proceed();
      // A request without one ends with its client, which may be gone already.
      if (hasBody(request)) yield* steadily(request, stallMs);
      onWhole();
    },
    discard(maxBytes = Number.POSITIVE_INFINITY) {
      if (request.destroyed || Number(length ?? 0) > maxBytes) return Promise.resolve();
      // Who waits to be told to send sends nothing.
      if (request.headers.expect !== undefined && request.readableLength === 0 && !request.readableFlowing) {
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const patience = setTimeout(done, DISCARD_MS);
        let bytes = 0;
        function done(): void {
          clearTimeout(patience);
          request.off('data', onData).off('end', onEnd).off('close', done);
          request.pause();
          resolve();
        }
        function onEnd(): void {
          onWhole();
          done();
        }
        function onData(piece: Buffer): void {
          bytes += piece.length;
          if (bytes > maxBytes) done();
        }
        request.on('data', onData).on('end', onEnd).on('close', done);
        request.on('error', () => undefined);
        request.resume();
      });
    },
  };
}

async function* steadily(request: IncomingMessage, stallMs: number): AsyncIterable<Buffer> {
  // Whoever stops reading half-way has an answer to give, over the same connection.
  const pieces: AsyncIterator<Buffer> = request.iterator({ destroyOnReturn: false });
  for (;;) {
    let patience: NodeJS.Timeout | undefined;
    const stalled = new Promise<never>((_, reject) => {
      patience = setTimeout(() => reject(new Stalled()), stallMs);
    });
    const next = pieces.next();
    // Left alone when it stalls: it ends with the connection.
    next.catch(() => undefined);
    const piece = await Promise.race([next, stalled]).finally(() => clearTimeout(patience));
    if (piece.done === true) return;
    yield piece.value;
  }
}
