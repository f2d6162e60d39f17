// A request's body that is too large for memory: taken piece by piece by whoever wants it, or thrown away.
import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

export interface BodyStream {
  /** What Content-Length says; undefined when the body comes in chunks. */
  readonly announcedBytes: number | undefined;
  /** To be read once. Ends early, by throwing, when the client hangs up. */
  pieces(): AsyncIterable<Buffer>;
  /**
   * Reads and forgets the rest, so that the client, which is still sending, comes to read its answer. Gives up on one that does
   * not come to an end.
   */
  discard(): Promise<void>;
}

/** Milliseconds: a client that is told no may still be sending, as fast as a socket can be written. */
const DISCARD_MS = 10_000;

/** `onWhole`: the body was read to its end. */
export function bodyStream(request: IncomingMessage, proceed: () => void, onWhole: () => void): BodyStream {
  const length = request.headers['content-length'];
  return {
    announcedBytes: length === undefined ? undefined : Number(length),
    async *pieces() {
      proceed();
      // Whoever stops reading half-way has an answer to give, over the same connection.
      yield* request.iterator({ destroyOnReturn: false });
      onWhole();
    },
    discard() {
      // Who waits to be told to send sends nothing.
      if (request.headers.expect !== undefined && request.readableLength === 0 && !request.readableFlowing) {
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const patience = setTimeout(done, DISCARD_MS);
        function done(): void {
          clearTimeout(patience);
          request.off('end', onEnd).off('close', done);
          request.pause();
          resolve();
        }
        function onEnd(): void {
          onWhole();
          done();
        }
        request.on('end', onEnd).on('close', done);
        request.on('error', () => undefined);
        request.resume();
      });
    },
  };
}
