// A port over a stream socket: the inherited socketpair between a service and the broker.
import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import process from 'node:process';
import { createFrameReader } from './frame-reader.ts';
import type { OpenPort } from './port.ts';

/** Takes the socket over. A stream that is not frames of ours closes it, with the reason. */
export function socketPort(socket: Socket): OpenPort {
  return (listener) => {
    let closed = false;
    let corked = false;
    let reason = '';
    const reader = createFrameReader((frame) => {
      if (!closed) listener.onFrame(frame);
    });
    const uncork = (): void => {
      corked = false;
      socket.uncork();
    };
    socket.on('data', (chunk: Buffer) => {
      if (closed || reader.push(chunk)) return;
      reason = 'malformed frame';
      socket.destroy();
    });
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
        if (closed || !socket.writable) return;
        if (!corked) {
          corked = true;
          socket.cork();
          process.nextTick(uncork);
        }
        socket.write(frame);
      },
      get queuedBytes() {
        return socket.writableLength;
      },
      close() {
        socket.end();
      },
    };
  };
}
