// One raw log file of a container: what of it goes into the log, what is left out of a flood, and the memory that is given back behind it.
import { dirname } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { ConsoleMemory } from './console-memory.ts';
import { type FileFollower, followFile } from './file-follower.ts';
import { createFloodLimit, FLOOD_RATE_BYTES, type FloodLimit } from './flood-limit.ts';
import type { ContainerLog, LogSink } from './log-flow.ts';
import { createLevelFilter, type LxcLevel } from './lxc-level.ts';
import type { TailCursor } from './tail-cursor.ts';

export interface ContainerTail {
  readonly log: ContainerLog;
  readonly folder: string;
  /** Of the file that the saved cursor is of. */
  savedInode: number | undefined;
  cursor(): TailCursor | undefined;
  /** Reads once and answers whether there is more. `onRead` hears, each time the cursor moved, how many bytes of that went into the log. */
  turn(into: LogSink, onRead: (keptBytes: number) => void): boolean;
  /** There is no memory for what consoles say: answers whether this one says something now, of which some may be missing. */
  missesMemory(): boolean;
  /** Says how much of a flood was left out. `isLast`: also of one that goes on. */
  tellLeftOut(into: LogSink, isLast?: boolean): void;
  /** Gives back what is behind the cursor, which is saved for good. `beforeEach`: called before each piece. */
  release(minBytes: number, beforeEach: () => void): void;
  close(): void;
  troubles(): HealthReason[];
}

export interface TailContext {
  readonly memory: ConsoleMemory;
  readonly nowMs: () => number;
  /** The least that is kept of LXC's own log. */
  readonly lxcLevel: LxcLevel;
  /** What is worth a line in our own log. */
  say(line: string): void;
}

const ROTATED = 'some of it may be missing here: it was rotated more than once between two looks';
const NO_MEMORY = 'some of it may be missing here: it was not read fast enough, and the memory for consoles was full';

export function createContainerTail(
  log: ContainerLog,
  path: string,
  from: TailCursor | undefined,
  context: TailContext,
): ContainerTail {
  return new Tail(log, path, from, context);
}

/** A class, for what its closures would take: there are four of them for each container. */
class Tail implements ContainerTail {
  readonly log: ContainerLog;
  readonly folder: string;
  savedInode: number | undefined;
  readonly #path: string;
  readonly #context: TailContext;
  readonly #follower: FileFollower;
  /** Of LXC's own log. */
  readonly #filter: ((bytes: Buffer) => Buffer) | undefined;
  /** Missing until something was read. */
  #limit: FloodLimit | undefined;
  #unreadable = '';
  /** There was no memory for what it says now. */
  #mayMiss = false;
  /** Its memory is not ours to give back. */
  #keepsMemory = false;

  constructor(log: ContainerLog, path: string, from: TailCursor | undefined, context: TailContext) {
    this.log = log;
    this.folder = dirname(path);
    this.savedInode = undefined;
    this.#path = path;
    this.#context = context;
    this.#follower = followFile(path, from);
    this.#filter = log.source === 'lxc' ? createLevelFilter(context.lxcLevel) : undefined;
  }

  cursor(): TailCursor | undefined {
    return this.#follower.cursor();
  }

  turn(into: LogSink, onRead: (keptBytes: number) => void): boolean {
    let keptBytes = 0;
    try {
      const more = this.#follower.turn(
        (read) => {
          const bytes = this.#filter?.(read) ?? read;
          keptBytes = 0;
          if (bytes.length === 0) return;
          this.#limit ??= createFloodLimit(this.#context.nowMs);
          this.tellLeftOut(into);
          const isKept = this.#limit.take(bytes.length);
          if (isKept) into.bytes(this.log, bytes);
          keptBytes = isKept ? bytes.length : 0;
        },
        () => this.#tellGap(into, ROTATED),
        () => onRead(keptBytes),
      );
      this.#unreadable = '';
      if (more || !this.#mayMiss) return more;
      this.#mayMiss = false;
      this.#tellGap(into, NO_MEMORY);
      return false;
    } catch (error) {
      this.#unreadable = reasonOf(error);
      return false;
    }
  }

  missesMemory(): boolean {
    if (this.log.source !== 'console' || this.#mayMiss || this.#follower.isQuiet()) return false;
    this.#mayMiss = true;
    return true;
  }

  tellLeftOut(into: LogSink, isLast = false): void {
    const bytes = isLast ? this.#limit?.close() : this.#limit?.leftOut();
    if (bytes === undefined) return;
    this.#tellGap(into, `${bytes} bytes left out here: it writes more than ${FLOOD_RATE_BYTES / 1024} KiB a second`);
  }

  release(minBytes: number, beforeEach: () => void): void {
    if (this.log.source !== 'console' || this.#keepsMemory) return;
    const { memory, say } = this.#context;
    try {
      this.#follower.release(minBytes, (fd, from, to) => {
        beforeEach();
        return memory.free(fd, from, to);
      });
    } catch (error) {
      this.#keepsMemory = true;
      // Where LXC rotates it still (a container that a build before this one started), it is not ours to write.
      if (errorCode(error) !== 'EACCES')
        say(`${this.log.container}: what is read of its console stays in memory: ${String(error)}`);
    }
  }

  close(): void {
    this.#follower.close();
  }

  troubles(): HealthReason[] {
    if (this.#unreadable === '') return [];
    const message = `${this.#path} cannot be read, so the log of ${this.log.container} is not kept: ${this.#unreadable}`;
    return [{ code: 'LOG_UNREADABLE', subject: this.#path, message }];
  }

  /** In the log itself, where it is missing, and in ours. */
  #tellGap(into: LogSink, what: string): void {
    into.bytes(this.log, Buffer.from(`\n[${what}]\n`));
    this.#context.say(`${this.log.container}, ${this.log.source}: ${what}`);
  }
}
