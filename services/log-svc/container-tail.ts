// One raw log file of a container: what of it goes into the log, what is left out of a flood, and the memory that is given back behind it.
import { dirname } from 'node:path';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { ConsoleMemory } from './console-memory.ts';
import { followFile } from './file-follower.ts';
import { createFloodLimit, FLOOD_RATE_BYTES } from './flood-limit.ts';
import type { ContainerLog, LogSink } from './log-flow.ts';
import type { TailCursor } from './tail-cursor.ts';

export interface ContainerTail {
  readonly log: ContainerLog;
  readonly folder: string;
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
  /** What is worth a line in our own log. */
  say(line: string): void;
}

const ROTATED = 'some of it may be missing here: it was rotated more than once between two looks';
const NO_MEMORY = 'some of it may be missing here: it was not read fast enough, and the memory for consoles was full';

export function createContainerTail(
  log: ContainerLog,
  path: string,
  from: TailCursor | undefined,
  { memory, nowMs, say }: TailContext,
): ContainerTail {
  const follower = followFile(path, from);
  const limit = createFloodLimit(nowMs);
  const isConsole = log.source === 'console';
  let unreadable = '';
  /** There was no memory for what it says now. */
  let mayMiss = false;
  /** Its memory is not ours to give back. */
  let keepsMemory = false;

  /** In the log itself, where it is missing, and in ours. */
  const tellGap = (into: LogSink, what: string): void => {
    into.bytes(log, Buffer.from(`\n[${what}]\n`));
    say(`${log.container}, ${log.source}: ${what}`);
  };
  const tellLeftOut = (into: LogSink, isLast = false): void => {
    const bytes = isLast ? limit.close() : limit.leftOut();
    if (bytes === undefined) return;
    tellGap(into, `${bytes} bytes left out here: it writes more than ${FLOOD_RATE_BYTES / 1024} KiB a second`);
  };

  return {
    log,
    folder: dirname(path),
    cursor: follower.cursor,
    turn(into, onRead) {
      try {
        const more = follower.turn(
          (bytes) => {
            tellLeftOut(into);
            const isKept = limit.take(bytes.length);
            if (isKept) into.bytes(log, bytes);
            onRead(isKept ? bytes.length : 0);
          },
          () => tellGap(into, ROTATED),
        );
        unreadable = '';
        if (more || !mayMiss) return more;
        mayMiss = false;
        tellGap(into, NO_MEMORY);
        return false;
      } catch (error) {
        unreadable = error instanceof Error ? error.message : String(error);
        return false;
      }
    },
    missesMemory() {
      if (!isConsole || mayMiss || follower.isQuiet()) return false;
      mayMiss = true;
      return true;
    },
    tellLeftOut,
    release(minBytes, beforeEach) {
      if (!isConsole || keepsMemory) return;
      try {
        follower.release(minBytes, (fd, from, to) => {
          beforeEach();
          return memory.free(fd, from, to);
        });
      } catch (error) {
        keepsMemory = true;
        // Where LXC rotates it still (a container that a build before this one started), it is not ours to write.
        if (!(error instanceof Error && 'code' in error && error.code === 'EACCES'))
          say(`${log.container}: what is read of its console stays in memory: ${String(error)}`);
      }
    },
    close: follower.close,
    troubles() {
      if (unreadable === '') return [];
      const message = `${path} cannot be read, so the log of ${log.container} is not kept: ${unreadable}`;
      return [{ code: 'LOG_UNREADABLE', subject: path, message }];
    },
  };
}
