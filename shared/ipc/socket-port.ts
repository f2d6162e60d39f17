// A port over a stream socket: the inherited socketpair between a service and the broker.
import { Buffer } from 'node:buffer';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import process from 'node:process';
import { bytesOf, type Frame, MAX_FRAME_BYTES, sizeOf } from './envelope.ts';
import { createFrameReader } from './frame-reader.ts';
import type { OpenPort } from './port.ts';

/**
 * Gathered bytes that leave at once, without waiting for the end of the turn: the other side reads the first of many messages while the last
 * are still written, on another processor. Half of what 64 callers say at a time; with less, waking the other side costs more than it gains.
 */
const FLUSH_BYTES = 4 * 1024;

const NOTHING: Piece = { bytes: Buffer.alloc(0), at: 0, end: 0 };

/**
 * What any port of this process reads, one at a time: memory for each read anew, and a stream that hands it on, cost more than the rest of
 * receiving a message. So a frame lies here until the next one is read.
 */
const received = Buffer.allocUnsafeSlow(MAX_FRAME_BYTES);

/** Takes over a connected stream socket that nobody else in this process uses. A stream that is not frames of ours closes it, with the reason. */
export function socketPort(fd: number): OpenPort {
  return (listener) => {
    let closed = false;
    let pieces: Piece[] = [];
    let last = NOTHING;
    let gatheredBytes = 0;
    let ended = false;
    /** Of earlier writes, for all we know: to look at the socket with every message costs more than the rest of sending one. */
    let isWaiting = false;
    let reason = '';
    const reader = createFrameReader((frame) => {
      if (!closed) listener.onFrame(frame);
    });
    const onBytes = (size: number): boolean => {
      isReading = true;
      try {
        if (closed || reader.push(received, size)) return size < received.length || waitForTurn();
        reason = 'malformed frame';
        socket.destroy();
        return false;
      } finally {
        isReading = false;
        flushAll();
      }
    };
    /** There is more, and libuv would read on, dozens of times: others' messages, heartbeats and timers would wait for all of it. */
    const waitForTurn = (): boolean => {
      setImmediate(() => socket.resume());
      return false;
    };
    const options: SocketConstructorOpts & Pick<ConnectOpts, 'onread'> = {
      fd,
      readable: true,
      writable: true,
      onread: { buffer: received, callback: onBytes },
    };
    const socket = new Socket(options);
    const begin = (frame: Frame): void => {
      if (last.end > last.at) pieces.push(last);
      last = { bytes: frame.bytes, at: frame.at, end: frame.at };
    };
    const flush = (): void => {
      if (gatheredBytes === 0) return;
      const isLasting = pieces.length === 0 && last.bytes !== received;
      const bytes = isLasting ? bytesOf(last) : joined([...pieces, last], gatheredBytes);
      // What comes next may lie behind it.
      last.at = last.end;
      if (pieces.length > 0) pieces = [];
      gatheredBytes = 0;
      if (!socket.writable) return;
      socket.write(bytes);
      isWaiting = socket.writableLength > 0;
    };
    socket.on('drain', () => listener.onDrain());
    socket.on('error', (error) => {
      reason ||= error.message;
    });
    // The other side has ended; nothing of ours would be read any more.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      closed = true;
      listener.onClose(reason);
    });
    return {
      send(frame) {
        if (closed || ended) return;
        if (gatheredBytes === 0) flushSoon(flush);
        if (frame.bytes !== last.bytes || frame.at !== last.end) begin(frame);
        last.end = frame.end;
        gatheredBytes += sizeOf(frame);
        if (gatheredBytes >= FLUSH_BYTES) flush();
      },
      queuedBytes() {
        if (!isWaiting) return gatheredBytes;
        isWaiting = socket.writableLength > 0;
        return gatheredBytes + socket.writableLength;
      },
      close() {
        flush();
        ended = true;
        socket.end();
      },
    };
  };
}

/** What follows from messages leaves right behind them: a tick of its own for it is one more call into JavaScript. */
let isReading = false;
/** Of ports that have gathered something. */
let flushes: (() => void)[] = [];

function flushSoon(flush: () => void): void {
  if (flushes.length === 0 && !isReading) process.nextTick(flushAll);
  flushes.push(flush);
}

function flushAll(): void {
  if (flushes.length === 0) return;
  const due = flushes;
  flushes = [];
  for (const flush of due) flush();
}

/** Frames that lie side by side: what the broker passes on to one service is often all that it read, and what a service says lies together. */
interface Piece {
  readonly bytes: Buffer;
  at: number;
  end: number;
}

/** One buffer: copying small frames together costs less than a request and an operand of writev(2) for each of them. */
function joined(pieces: readonly Piece[], size: number): Buffer {
  const whole = Buffer.allocUnsafe(size);
  let end = 0;
  for (const { bytes, at, end: pieceEnd } of pieces) end += bytes.copy(whole, end, at, pieceEnd);
  return whole;
}
