// Descriptors that are read when something is there, in turns, so that one that floods holds up none of the others.
import type { SocketKernel, SocketWatch } from './socket-watch.ts';

export interface TurnOptions {
  /** One turn: true when there may be more. It may remove its own descriptor, and others. */
  readonly read: () => boolean;
  /** Asked after each turn: whether the next one may wait a little. */
  readonly isPaced: () => boolean;
  /** `read` has thrown; it is tried again. */
  readonly onTrouble: (error: unknown) => void;
}

export interface ReadingTurns {
  /** Nothing is read before. Throws KernelError. */
  start(kernel: SocketKernel): void;
  /** Throws KernelError for what cannot be waited for. */
  add(fd: number, options: TurnOptions): void;
  /** To be called before it is closed. Not there: a no-op. */
  remove(fd: number): void;
  /** Reads what is there now. */
  readRest(fd: number): void;
  /** Everything that is there still is removed. */
  stop(): void;
}

/** A descriptor whose container is over its budget is read so often: its senders wait as long as that, and no longer. */
const PACE_MS = 5;
/** One that cannot be read, as for want of descriptors to accept a connection. */
const TROUBLE_MS = 1_000;
/** At the end, what waits is read; a container that goes on sending does not keep us from ending. */
const LAST_TURNS = 64;

interface Reader extends TurnOptions {
  pause: NodeJS.Timeout | undefined;
}

export function createReadingTurns(): ReadingTurns {
  const readers = new Map<number, Reader>();
  let watch: SocketWatch | undefined;

  /** Undefined: it failed. */
  const turn = (reader: Reader): boolean | undefined => {
    try {
      return reader.read();
    } catch (error) {
      reader.onTrouble(error);
      return undefined;
    }
  };
  const onReady = (fd: number): void => {
    const reader = readers.get(fd);
    if (reader === undefined) return;
    const isWell = turn(reader) !== undefined;
    if (readers.get(fd) !== reader) return;
    if (isWell && !reader.isPaced()) watch?.add(fd);
    else reader.pause = setTimeout(() => watch?.add(fd), isWell ? PACE_MS : TROUBLE_MS);
  };
  const remove = (fd: number): void => {
    clearTimeout(readers.get(fd)?.pause);
    if (readers.delete(fd)) watch?.remove(fd);
  };
  return {
    start(kernel) {
      watch = kernel.openWatch(onReady);
      for (const fd of readers.keys()) watch.add(fd);
    },
    add(fd, options) {
      remove(fd);
      watch?.add(fd);
      readers.set(fd, { ...options, pause: undefined });
    },
    remove,
    readRest(fd) {
      for (let turns = 0; turns < LAST_TURNS; turns += 1) {
        const reader = readers.get(fd);
        if (reader === undefined || turn(reader) !== true) return;
      }
    },
    stop() {
      for (const fd of [...readers.keys()]) remove(fd);
      watch?.close();
      watch = undefined;
    },
  };
}
