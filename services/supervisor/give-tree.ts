// Gives a folder to a user, with all that is in it. In: its path, and to whom; out: told are what could not be looked at, or given. A storage may have
// a hundred thousand files, so it is done step by step: at once before anything else runs, and in turns with the rest of the supervisor after that.
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

export interface Giving {
  readonly uid: number;
  /** Other services read what is in it. */
  readonly isRead: boolean;
  /** Folders that are prepared by themselves. */
  readonly others: ReadonlySet<string>;
  /** Hears what could not be looked at, or given. */
  leave(path: string, error: unknown): void;
}

/** One step for each file or folder. */
export type Walk = Generator<void, void, void>;

/** Steps between two turns of the event loop: some milliseconds where the disk has to be asked for each. */
export const STEPS_A_TURN = 64;

export function atOnce(walk: Walk): void {
  while (walk.next().done !== true);
}

/** Heartbeats and messages come in between. */
export async function inTurns(walk: Walk): Promise<void> {
  for (let steps = 1; walk.next().done !== true; steps += 1) if (steps % STEPS_A_TURN === 0) await setImmediate();
}

/** Only a place, not its content (open(2)); Node does not name it. */
const O_PATH = 0o10000000;

/**
 * Everything below `path` that belongs to somebody else becomes `uid`'s: a revision that root has just packed, a storage from another machine.
 * Root could do without modes, and Pantavisor made folders and files that only root gets into (1204, 600); their new owner cannot, nor those who read them.
 * Throws where that cannot be done with `path` itself. What is below is left then, and told: one damaged file must not keep all from running.
 */
export function giveTree(path: string, giving: Giving): Walk {
  return giveAt(path, path, giving);
}

/**
 * `at`: a way to `path`. Who is given all this may be at work in it meanwhile, and could put a link to a file of root's in the place of what was
 * looked at: so that is opened, and given by its descriptor.
 */
function* giveAt(at: string, path: string, giving: Giving): Walk {
  const found = lstatSync(at);
  if (!found.isDirectory() && isGiven(found, giving)) return;
  const fd = openSync(at, O_PATH | constants.O_NOFOLLOW);
  try {
    const place = `/proc/self/fd/${fd}`;
    const stat = fstatSync(fd);
    if (!isGiven(stat, giving)) giveOne(place, stat, giving);
    if (stat.isDirectory()) yield* giveBelow(place, path, giving);
  } finally {
    closeSync(fd);
  }
}

function giveOne(place: string, stat: Stats, giving: Giving): void {
  const { uid } = giving;
  if (stat.uid !== uid || stat.gid !== uid) chownSync(place, uid, uid);
  const needed = neededMode(stat, giving);
  // Without setuid and setgid, which the change of owner has cleared.
  if ((stat.mode & needed) !== needed) chmodSync(place, (stat.mode & 0o1777) | needed);
}

function* giveBelow(place: string, path: string, giving: Giving): Walk {
  for (const entry of readdirSync(place)) {
    const below = join(path, entry);
    if (giving.others.has(below)) continue;
    try {
      yield* giveAt(`${place}/${entry}`, below, giving);
    } catch (error) {
      giving.leave(below, error);
    }
    yield;
  }
}

function isGiven(stat: Stats, giving: Giving): boolean {
  const needed = neededMode(stat, giving);
  return stat.uid === giving.uid && stat.gid === giving.uid && (stat.mode & needed) === needed;
}

/** Of owner and others; links have none. */
function neededMode(stat: Stats, { isRead }: Giving): number {
  if (stat.isDirectory()) return isRead ? 0o705 : 0o700;
  if (stat.isFile()) return isRead ? 0o404 : 0o400;
  return 0;
}
