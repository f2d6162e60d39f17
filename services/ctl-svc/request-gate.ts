// Stands between a connection and Node's parser, which takes all of a read at once: here it gets one request of it at a time.
import type { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { AskForStep } from './fair-turns.ts';

/** What the parser is given at a time: bounds on what one step may cost. A head of more lines comes in several. */
export const MAX_PIECE_BYTES = 64 * 1024;
export const MAX_PIECE_LINES = 128;

const EMPTY_LINE_BYTES = 2;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/**
 * Bytes of the next piece of heads and of bodies in chunks. It ends with the first blank line, where both end, so that no piece completes more than
 * one. Lines are counted because chunks of a body are lines.
 */
export function pieceLength(bytes: Buffer): number {
  const most = Math.min(bytes.length, MAX_PIECE_BYTES);
  let lineStart = 0;
  for (let lines = 0; lines < MAX_PIECE_LINES; lines += 1) {
    const at = bytes.indexOf(NEWLINE, lineStart);
    if (at === -1 || at >= most) return most;
    const isBlank = at === lineStart || (at === lineStart + 1 && bytes[lineStart] === RETURN);
    lineStart = at + 1;
    if (isBlank) break;
  }
  return lineStart;
}

export interface Gate {
  /** For the parser, in the connection's place. */
  readonly stream: Duplex;
  /** It may no longer be held: what waits is looked at again. */
  goOn(): void;
  /** Of what has just been passed on: so many bytes follow that are no head, whatever they look like. */
  expectBody(bytes: number): void;
  /** Bytes that are still to come of it. */
  bodyLeft(): number;
  /** There is more of what was read, and nothing to wait for before the parser gets it. */
  isPassingOn(): boolean;
  /** Something was sent behind what has been passed on. An empty line is nothing: pvtx of Pantavisor ends its requests with one more. */
  hasMore(): boolean;
}

/**
 * `first` has been read of the connection already. While `isHeld` says so nothing is passed on, and soon nothing is read either; the client's
 * writes wait then. No more than two reads of it are ever in memory.
 */
export function createGate(socket: Socket, first: Buffer, ask: AskForStep, isHeld: (stream: Duplex) => boolean): Gate {
  let pending = first;
  let bodyLeft = 0;
  let hasEnded = false;
  /** The parser takes more. */
  let isWanted = false;
  let hasAsked = false;
  const passOn = (): void => {
    hasAsked = false;
    if (stream.destroyed || !isWanted || isHeld(stream)) return;
    const length = bodyLeft > 0 ? Math.min(bodyLeft, pending.length, MAX_PIECE_BYTES) : pieceLength(pending);
    const piece = pending.subarray(0, length);
    pending = pending.subarray(length);
    bodyLeft = Math.max(0, bodyLeft - length);
    isWanted = false;
    // The parser takes it at once: a head that ends here is a request when this returns.
    stream.push(piece);
    if (pending.length === 0) take();
  };
  const goOn = (): void => {
    if (hasAsked || !isWanted || stream.destroyed || isHeld(stream)) return;
    if (pending.length > 0) {
      hasAsked = true;
      ask(passOn);
    } else if (hasEnded) stream.push(null);
  };
  const take = (): void => {
    if (pending.length > 0) return;
    const read: Buffer | null = socket.read();
    if (read === null) return;
    pending = read;
    goOn();
  };
  const stream: Duplex = Object.assign(
    new Duplex({
      allowHalfOpen: true,
      read() {
        isWanted = true;
        goOn();
      },
      write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
      writev(chunks: readonly { readonly chunk: Buffer }[], done) {
        socket.cork();
        for (const [index, { chunk }] of chunks.entries()) {
          socket.write(chunk, index === chunks.length - 1 ? done : undefined);
        }
        socket.uncork();
      },
      final: (done) => void socket.end(done),
      destroy(error, done) {
        socket.destroy();
        done(error);
      },
    }),
    {
      // What an HTTP server asks of a connection beside that.
      setTimeout: (ms: number) => socket.setTimeout(ms),
      destroySoon: () => void stream.end(() => stream.destroy()),
    },
  );
  socket.on('readable', take);
  socket.on('end', () => {
    hasEnded = true;
    goOn();
  });
  socket.on('timeout', () => stream.emit('timeout'));
  socket.on('error', (error) => stream.destroy(error));
  socket.on('close', () => stream.destroy());
  return {
    stream,
    goOn,
    expectBody(bytes) {
      bodyLeft = bytes;
    },
    bodyLeft: () => bodyLeft,
    isPassingOn: () => pending.length > 0 && !isHeld(stream),
    hasMore: () => pending.length + socket.readableLength > EMPTY_LINE_BYTES,
  };
}

/** Holds a connection while a whole request of it has no answer: what follows is not looked at before. */
export function createGates(): {
  wrap(socket: Socket, first: Buffer, ask: AskForStep): Duplex;
  holdUntilAnswered(request: IncomingMessage, response: ServerResponse): void;
  isPassingOn(stream: Duplex): boolean;
  hasMore(stream: Duplex): boolean;
} {
  const gates = new WeakMap<Duplex, Gate>();
  const unanswered = new WeakMap<Duplex, IncomingMessage>();
  const isHeld = (stream: Duplex): boolean => {
    const request = unanswered.get(stream);
    if (request === undefined) return false;
    // Also where it is passed on and the parser, told to wait, has not taken it yet.
    return request.complete || (lengthOf(request) !== undefined && gates.get(stream)?.bodyLeft() === 0);
  };
  return {
    wrap(socket, first, ask) {
      const gate = createGate(socket, first, ask, isHeld);
      gates.set(gate.stream, gate);
      return gate.stream;
    },
    holdUntilAnswered(request, response) {
      const stream: Duplex = request.socket;
      unanswered.set(stream, request);
      gates.get(stream)?.expectBody(lengthOf(request) ?? 0);
      response.once('close', () => {
        unanswered.delete(stream);
        gates.get(stream)?.goOn();
      });
    },
    isPassingOn: (stream) => gates.get(stream)?.isPassingOn() ?? false,
    hasMore: (stream) => gates.get(stream)?.hasMore() ?? false,
  };
}

/** Bytes of its body; undefined where that comes in chunks, or where there is none. */
function lengthOf({ headers }: IncomingMessage): number | undefined {
  const length = headers['content-length'];
  return length === undefined || headers['transfer-encoding'] !== undefined ? undefined : Number(length);
}
