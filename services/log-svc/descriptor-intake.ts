// A container's pv-fd-log: takes pipes and sockets that are handed over, and makes messages of the lines that come out of them.
import { readSync } from 'node:fs';
import type { ClosingLanes } from '../../shared/kernel/closing-lanes.ts';
import { HANDOVER_BYTES, type Handover, parseHandover } from './handover.ts';
import { createLineSplitter } from './line-splitter.ts';
import { type MessageKeeper, noteOf, type Turn } from './message-keeper.ts';
import type { ReadingTurns, TurnOptions } from './reading-turns.ts';
import type { SocketKernel } from './socket-watch.ts';

export interface DescriptorIntake {
  /** A turn of the listening socket: takes one who has connected; false when there was nobody. */
  greet(): boolean;
  /** Reads what is there in all of them, and closes them. */
  close(): void;
}

export interface IntakeParts {
  readonly keeper: MessageKeeper;
  readonly turns: ReadingTurns;
  readonly kernel: SocketKernel;
  /** For all that comes from the container: none of it is ours to close at once. */
  readonly lanes: ClosingLanes;
  /** Of a turn for this container. */
  readonly rest: Omit<TurnOptions, 'read'>;
}

/** Handed over and read from at the same time, for one container. */
export const MAX_DESCRIPTORS = 16;
/** Connected, and nothing said yet; the oldest has to go for one more. */
const MAX_CONNECTIONS = 8;
const MAX_LINE_BYTES = 16 * 1024;
/** More than a handover has, so that who says something else is told how much. */
const MAX_HANDOVER_BYTES = 64 * 1024;
/** Of one descriptor, before the next one's turn. */
const TURN_BYTES = 64 * 1024;

interface Source {
  readonly fd: number;
  /** Reads its rest, closes it. */
  end(): void;
}

// Used within one turn only, and turns do not overlap: nothing here is asynchronous.
const buffer = Buffer.allocUnsafeSlow(TURN_BYTES);

/** `listeningFd` stays open. */
export function createDescriptorIntake(listeningFd: number, container: string, parts: IntakeParts): DescriptorIntake {
  const { keeper, turns, kernel, lanes, rest } = parts;
  const sources = new Map<string, Source>();
  const connections: number[] = [];
  const note = (text: string): void => keeper.turn(container, (turn) => speak(turn, text));
  const speak = (turn: Turn, text: string): void => {
    if (turn.isOpen()) turn.keep(noteOf(container, text), text.length);
    else turn.drop();
  };

  const drop = (fd: number): void => lanes.close(fd, container);
  /** The connection is ours, but in its queue there may be more descriptors. */
  const hangUp = (fd: number): void => {
    const index = connections.indexOf(fd);
    if (index === -1) return;
    connections.splice(index, 1);
    turns.remove(fd);
    drop(fd);
  };
  const greet = (): boolean => {
    if (lanes.isFull(container)) return false;
    const fd = kernel.acceptConnection(listeningFd);
    if (fd === undefined) return false;
    const [oldest] = connections;
    if (oldest !== undefined && connections.length >= MAX_CONNECTIONS) hangUp(oldest);
    connections.push(fd);
    turns.add(fd, { read: () => hear(fd), ...rest });
    return true;
  };
  /** One message a connection, as the stock runtime takes it. */
  const hear = (fd: number): boolean => {
    if (lanes.isFull(container)) return false;
    let handed: ReturnType<SocketKernel['receiveWithDescriptors']>;
    try {
      handed = kernel.receiveWithDescriptors(fd, MAX_HANDOVER_BYTES);
    } catch {
      // Such as ECONNRESET: whoever it was, is gone.
      hangUp(fd);
      return false;
    }
    if (handed === undefined) return false;
    hangUp(fd);
    const { bytes, descriptors } = handed;
    const [descriptor, ...others] = descriptors;
    for (const other of others) drop(other);
    const said = parseHandover(bytes);
    if (bytes.length > 0 && said === undefined)
      note(`pv-fd-log: ${bytes.length} bytes are no ${HANDOVER_BYTES} bytes of a handover`);
    let isTaken = false;
    try {
      isTaken = said !== undefined && take(said, descriptor);
    } finally {
      if (!isTaken && descriptor !== undefined) drop(descriptor);
    }
    return false;
  };
  /** Whether the descriptor is read from now on. */
  const take = ({ src, level, isWanted }: Handover, descriptor: number | undefined): boolean => {
    sources.get(src)?.end();
    if (!isWanted) return false;
    const refuse = (why: string): boolean => {
      note(`pv-fd-log: ${src} is not read: ${why}`);
      return false;
    };
    if (descriptor === undefined) return refuse('no descriptor came with it');
    const read = readerOf(descriptor, kernel, { drop, isFull: () => lanes.isFull(container) });
    if (read === undefined)
      return refuse('it is neither a pipe nor a Unix socket; files are read when run.json names them in logs');
    if (sources.size >= MAX_DESCRIPTORS) return refuse(`${MAX_DESCRIPTORS} descriptors are read already`);
    sources.set(src, follow(descriptor, src, level, read));
    return true;
  };
  const follow = (fd: number, src: string, level: Handover['level'], read: Read): Source => {
    const splitter = createLineSplitter(MAX_LINE_BYTES);
    const keepLines = (turn: Turn, lines: readonly string[]): void => {
      for (const text of lines) {
        const message = { ...noteOf(container, text), level, src };
        if (turn.isOpen()) turn.keep(message, Buffer.byteLength(text));
        else turn.drop();
      }
    };
    const finish = (): void => {
      sources.delete(src);
      turns.remove(fd);
      drop(fd);
      const rest = splitter.push(Buffer.from('\n'));
      keeper.turn(container, (turn) => keepLines(turn, rest));
    };
    const readTurn = (): boolean => {
      const bytes = readOrEnd(fd, read);
      if (bytes === undefined) return false;
      if (bytes.length === 0) {
        finish();
        return false;
      }
      keeper.turn(container, (turn) => keepLines(turn, splitter.push(bytes)));
      return true;
    };
    turns.add(fd, { read: readTurn, ...rest });
    return {
      fd,
      end() {
        turns.readRest(fd);
        // Its end may have been in what was left.
        if (sources.get(src)?.fd === fd) finish();
      },
    };
  };

  return {
    greet,
    close() {
      for (const fd of [...connections]) {
        turns.readRest(fd);
        hangUp(fd);
      }
      for (const source of [...sources.values()]) source.end();
    },
  };
}

/** Bytes that are there, none at the end, undefined when there is nothing yet. */
type Read = (fd: number) => Buffer | undefined;

function readOrEnd(fd: number, read: Read): Buffer | undefined {
  try {
    return read(fd);
  } catch {
    // Not connected, reset, the wrong end of a pipe: nothing will come out of it.
    return Buffer.alloc(0);
  }
}

/**
 * Undefined: it cannot be read from without the danger of having to wait for it, or for ever; sockets of other families work when they are read
 * (TCP, AF_ALG, netlink), and wait for whoever else works with them. `drop`: for what comes out of a socket beside its bytes, unless it `isFull`.
 */
function readerOf(
  fd: number,
  { kindOfDescriptor, spliceWaiting, receiveWithDescriptors, ownPipe }: SocketKernel,
  { drop, isFull }: { readonly drop: (fd: number) => void; readonly isFull: () => boolean },
): Read | undefined {
  const kind = kindOfDescriptor(fd);
  if (kind === 'pipe') {
    return (pipe) => {
      const { readFd, writeFd } = ownPipe();
      const length = spliceWaiting(pipe, writeFd, TURN_BYTES);
      if (length === undefined || length === 0) return length === undefined ? undefined : buffer.subarray(0, 0);
      return buffer.subarray(0, readSync(readFd, buffer, 0, length, null));
    };
  }
  if (kind !== 'unix-socket') return undefined;
  return (socket) => {
    if (isFull()) return undefined;
    const received = receiveWithDescriptors(socket, TURN_BYTES);
    for (const descriptor of received?.descriptors ?? []) drop(descriptor);
    return received?.bytes;
  };
}
