// Makes the folders that contracts say a service owns, gives them to its user, and checks that it can get there at all.
import { chmodSync, chownSync, lchownSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Contract } from '../../shared/ipc/contract.ts';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { expandPath, type Places } from './spawn-arguments.ts';

const SEARCH_BY_OTHERS = 0o001;

/**
 * The first folder on the way to `path` that users other than its owner cannot pass, undefined when there is none.
 * Services run as users of their own, so each of them must be able to reach program, storage and rundir.
 */
export function unreachableFolder(path: string): string | undefined {
  const parent = dirname(path);
  const above = parent === path ? undefined : unreachableFolder(parent);
  if (above !== undefined) return above;
  return isClosedFolder(path) ? path : undefined;
}

/** Whether `path` is a folder that users other than its owner cannot pass, however they got there. */
export function isClosedFolder(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && (stat.mode & SEARCH_BY_OTHERS) === 0;
}

const OWNER_ALL = 0o700;
const OWNER_READS = 0o400;

interface Giving {
  readonly uid: number;
  /** Folders that are prepared by themselves. */
  readonly others: ReadonlySet<string>;
  /** Hears what could not be looked at, or given. */
  leave(path: string, error: unknown): void;
}

/**
 * Everything below `path` that belongs to somebody else becomes `uid`'s: a revision that root has just packed, a storage from another machine.
 * Root could do without modes, and Pantavisor made folders that only root gets into (1204); their new owner cannot.
 * Throws where that cannot be done with `path` itself. What is below is left then, and told: one damaged file must not keep all from running.
 */
function giveTree(path: string, giving: Giving): void {
  const { uid, others, leave } = giving;
  const stat = lstatSync(path);
  if (stat.uid !== uid || stat.gid !== uid) lchownSync(path, uid, uid);
  const needed = stat.isDirectory() ? OWNER_ALL : stat.isFile() ? OWNER_READS : 0;
  // Without setuid and setgid, which the change of owner has cleared.
  if ((stat.mode & needed) !== needed) chmodSync(path, (stat.mode & 0o1777) | needed);
  if (!stat.isDirectory()) return;
  for (const entry of readdirSync(path)) {
    const below = join(path, entry);
    if (others.has(below)) continue;
    try {
      giveTree(below, giving);
    } catch (error) {
      leave(below, error);
    }
  }
}

/** Whether a file system refuses to give what is on it: it has no owners, or is read-only. */
function isNobodys(error: unknown): boolean {
  return ['EPERM', 'EROFS'].includes(errorCode(error));
}

const READ_BY_OTHERS = 0o005;

/** Throws where the folder can be neither given nor read. */
function giveOrLeave(path: string, giving: Giving): void {
  const leave: Giving['leave'] = (below, error) => {
    if (!isNobodys(error)) giving.leave(below, error);
  };
  try {
    giveTree(path, { ...giving, leave });
  } catch (error) {
    if (!isNobodys(error)) throw error;
    if ((lstatSync(path).mode & READ_BY_OTHERS) !== READ_BY_OTHERS)
      throw new Error(`${path} can be read by root alone, and not be given away: mount it with umask=022`);
  }
}

/** Setgid: what is made in it belongs to the group that may write there. */
const SHARED_MODE = 0o2770;

/** A folder of `uid` that the group `gid` writes into. What is in it is left as it is. */
function shareFolder(path: string, uid: number, gid: number): void {
  makeFolders(path);
  const stat = lstatSync(path);
  if (stat.uid !== uid || stat.gid !== gid) lchownSync(path, uid, gid);
  // After the owner: a change of owner clears the bit.
  if ((lstatSync(path).mode & 0o7777) !== SHARED_MODE) chmodSync(path, SHARED_MODE);
}

/** Or the folder itself. */
function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** A whole folder may be damaged. */
const MAX_TOLD = 10;

function createLeft() {
  const lines: string[] = [];
  let more = 0;
  return {
    leave(path: string, error: unknown): void {
      // Containers that run over the start of Berth make and remove files meanwhile.
      if (errorCode(error) === 'ENOENT') return;
      if (lines.length < MAX_TOLD) lines.push(`${path} stays as it is: ${reasonOf(error)}`);
      else more += 1;
    },
    lines: (): readonly string[] =>
      more === 0 ? lines : [...lines, `and ${more} more files or folders stay as they are`],
  };
}

/**
 * Throws, saying what to do, when a folder cannot be made or given. Answers, in words, what below them could not be looked at or given. Writes
 * nothing where all is as it should be.
 */
export function prepareFolders(
  contracts: readonly Contract[],
  uidOf: (contract: Contract) => number,
  places: Places,
): readonly string[] {
  const shared = contracts.flatMap((contract) =>
    (contract.files.shared ?? []).map((each) => ({ ...each, path: expandPath(each.path, places), contract })),
  );
  // Outer folders first.
  const owned = contracts
    .flatMap((contract) => {
      const uid = uidOf(contract);
      const { owns, ownsOrReads = [] } = contract.files;
      return owns.map((path) => {
        const give = ownsOrReads.includes(path) ? giveOrLeave : giveTree;
        return { path: expandPath(path, places), uid, give };
      });
    })
    .sort((a, b) => a.path.length - b.path.length);
  const paths = new Set([...owned, ...shared].map(({ path }) => path));
  const left = createLeft();
  for (const { path, uid, give } of owned) {
    const [option, folder] = isBelow(path, places.rundir) ? ['--rundir', places.rundir] : ['--storage', places.storage];
    try {
      makeFolders(path, 0o755);
      // What is below was made since the boot by those who own it; and the roots of containers that run are there, and mounted
      // namespaces, which nobody can own. Only the folder itself is given, once: whom its owner lets in by its group stays let in.
      if (option === '--rundir' && lstatSync(path).uid !== uid) chownSync(path, uid, uid);
      else if (option === '--storage') give(path, { uid, others: paths, leave: left.leave });
    } catch (error) {
      throw new Error(
        `${folder} cannot be prepared (${reasonOf(error)}): Berth must be able to write there; ` +
          `remount it or make room, or name another folder with ${option}`,
      );
    }
    for (const each of shared.filter((one) => isBelow(one.path, path))) {
      try {
        shareFolder(each.path, uid, resolveUid(each.with));
      } catch (error) {
        left.leave(each.path, error);
      }
    }
  }
  return left.lines();
}
