// Makes the folders that contracts say a service owns, gives them to its user, and checks that it can get there at all.
import { chmodSync, chownSync, lchownSync, lstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Contract, ServiceName } from '../../shared/ipc/contract.ts';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { atOnce, type Giving, giveTree, inTurns, type Walk } from './give-tree.ts';
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

/** Whether a file system refuses to give what is on it: it has no owners, or is read-only. */
function isNobodys(error: unknown): boolean {
  return ['EPERM', 'EROFS'].includes(errorCode(error));
}

const READ_BY_OTHERS = 0o005;

/** Throws where the folder can be neither given nor read. */
function* giveOrLeave(path: string, giving: Giving): Walk {
  const leave: Giving['leave'] = (below, error) => {
    if (!isNobodys(error)) giving.leave(below, error);
  };
  try {
    yield* giveTree(path, { ...giving, leave });
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

/** The number of a descriptor tells people nothing. */
function withoutPlace(reason: string): string {
  return reason.replace(/,? \w+ '\/proc\/self\/fd\/.*'$/, '');
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
      if (lines.length < MAX_TOLD) lines.push(`${path} stays as it is: ${withoutPlace(reasonOf(error))}`);
      else more += 1;
    },
    lines: (): readonly string[] =>
      more === 0 ? lines : [...lines, `and ${more} more files or folders stay as they are`],
  };
}

interface Owned {
  readonly path: string;
  readonly service: ServiceName;
  readonly uid: number;
  readonly isStorage: boolean;
  give(leave: Giving['leave']): Walk;
}

interface Planned {
  /** Outer folders first. */
  readonly owned: readonly Owned[];
  readonly shared: readonly { readonly path: string; readonly uid: number; readonly gid: number }[];
}

function plan(contracts: readonly Contract[], uidOf: (contract: Contract) => number, places: Places): Planned {
  const shared = contracts.flatMap((contract) =>
    (contract.files.shared ?? []).map((each) => ({
      path: expandPath(each.path, places),
      uid: uidOf(contract),
      gid: resolveUid(each.with),
    })),
  );
  const named = contracts.flatMap((contract) => contract.files.owns.map((name) => ({ contract, name })));
  const pathOf = ({ name }: { readonly name: string }): string => expandPath(name, places);
  const others = new Set([...named.map(pathOf), ...shared.map(({ path }) => path)]);
  const owned = named.map((each): Owned => {
    const { contract, name } = each;
    const path = pathOf(each);
    const isRead = contracts.some(({ files }) => files.reads.includes(name));
    const give = contract.files.ownsOrReads?.includes(name) === true ? giveOrLeave : giveTree;
    return {
      path,
      service: contract.service,
      uid: uidOf(contract),
      isStorage: !isBelow(path, places.rundir),
      give: (leave) => give(path, { uid: uidOf(contract), isRead, others, leave }),
    };
  });
  return { owned: owned.sort((a, b) => a.path.length - b.path.length), shared };
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
  const { owned, shared } = plan(contracts, uidOf, places);
  const left = createLeft();
  for (const { path, uid, isStorage, give } of owned) {
    const [option, folder] = isStorage ? ['--storage', places.storage] : ['--rundir', places.rundir];
    try {
      makeFolders(path, 0o755);
      // What is below was made since the boot by those who own it; and the roots of containers that run are there, and mounted
      // namespaces, which nobody can own. Only the folder itself is given, once: whom its owner lets in by its group stays let in.
      if (isStorage) atOnce(give(left.leave));
      else if (lstatSync(path).uid !== uid) chownSync(path, uid, uid);
    } catch (error) {
      throw new Error(
        `${folder} cannot be prepared (${reasonOf(error)}): Berth must be able to write there; ` +
          `remount it or make room, or name another folder with ${option}`,
      );
    }
    for (const each of shared.filter((one) => isBelow(one.path, path))) {
      try {
        shareFolder(each.path, each.uid, each.gid);
      } catch (error) {
        left.leave(each.path, error);
      }
    }
  }
  return left.lines();
}

/** What somebody else has put into the folders of the storage that a service owns becomes that service's, which may run, as may all others. Answers as prepareFolders. */
export async function giveStorage(
  service: ServiceName,
  contracts: readonly Contract[],
  uidOf: (contract: Contract) => number,
  places: Places,
): Promise<readonly string[]> {
  const left = createLeft();
  for (const each of plan(contracts, uidOf, places).owned) {
    if (each.service !== service || !each.isStorage) continue;
    try {
      await inTurns(each.give(left.leave));
    } catch (error) {
      left.leave(each.path, error);
    }
  }
  return left.lines();
}
