// Where a logger's lines go: a descriptor that may be a pipe whose reader is slow, stopped or gone. Never waits for it, never throws.
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';

export interface LineSink {
  /** Takes whole lines, ending in "\n". */
  write(line: string): void;
  /** Hands everything to the kernel that it accepts right now. */
  flush(): void;
}

/** Bytes kept while the pipe is full (log-svc restarting); what comes after that is dropped and counted. */
const MAX_QUEUED_BYTES = 1024 * 1024;

/** One per descriptor and process: the event loop watches a descriptor for one owner only. */
const sinks = new Map<number, LineSink>();

/** `describeLoss` makes the line that says how many lines are missing, put where they are missing. */
export function lineSink(fd: number, describeLoss: (lines: number) => string): LineSink {
  const known = sinks.get(fd);
  if (known !== undefined) return known;
  const sink = open(fd, describeLoss);
  sinks.set(fd, sink);
  return sink;
}

function open(fd: number, describeLoss: (lines: number) => string): LineSink {
  let socket: Socket;
  try {
    socket = new Socket({ fd, readable: false, writable: true });
  } catch {
    // A file or a terminal, which the event loop cannot watch: somebody runs the program by hand.
    return fileSink(fd);
  }
  return pipeSink(socket, fd, describeLoss);
}

function pipeSink(socket: Socket, fd: number, describeLoss: (lines: number) => string): LineSink {
  let lost = 0;
  let corked = false;
  const uncork = (): void => {
    if (!corked) return;
    corked = false;
    socket.uncork();
  };
  const send = (line: string): void => {
    if (!corked) {
      corked = true;
      socket.cork();
      // One write for all lines of a turn of the event loop.
      process.nextTick(uncork);
    }
    socket.write(line);
  };
  // A reader that is gone for good must not take the writer with it; what is written afterwards is dropped.
  socket.on('error', () => undefined);
  socket.on('close', () => sinks.delete(fd));
  // A line that waits is no reason for the process to live on.
  socket.unref();
  return {
    write(line) {
      if (socket.destroyed) return;
      if (socket.writableLength + line.length > MAX_QUEUED_BYTES) {
        lost += 1;
        return;
      }
      if (lost > 0) {
        send(describeLoss(lost));
        lost = 0;
      }
      send(line);
    },
    flush: uncork,
  };
}

function fileSink(fd: number): LineSink {
  return {
    write(line) {
      try {
        writeSync(fd, line);
      } catch {
        // A full disk, a closed terminal: there is nobody left to tell.
      }
    },
    flush: () => undefined,
  };
}
