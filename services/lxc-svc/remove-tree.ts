// rm -r of folders that a container may still write to: rm(1) of Node goes by paths, and what was a folder when it was looked at can be a
// link to one of the host by the time that its files are removed.
import { constants, promises } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../shared/kernel/system-error.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Each folder on the way down is an open descriptor. */
const MAX_DEPTH = 128;
/** Of so many times that depth: a container that still writes there could go on for ever. */
const MAX_ROUNDS = 1_000;

interface Removal {
  /** Moves what is too deep to the top, where the next round finds it. */
  readonly lift: (folder: Buffer) => Promise<void>;
  /** Whatever cannot be removed holds up nothing beside it. */
  readonly failed: (error: unknown) => void;
}

/**
 * `path`: no parent of it is a container's to change. What somebody else removes meanwhile is no failure. Throws what the system says first;
 * then only that is left which cannot be removed.
 */
export async function removeTree(path: string): Promise<void> {
  // No more than one: there may be as many as files.
  let first: unknown;
  const failed = (error: unknown): void => {
    if (errorCode(error) !== 'ENOENT') first ??= error;
  };
  try {
    if (!(await promises.lstat(path)).isDirectory()) return await promises.unlink(path);
    let lifted = 0;
    const lift = async (folder: Buffer): Promise<void> => {
      lifted += 1;
      await promises.rename(folder, await promises.mkdtemp(join(path, '.deep.')));
    };
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const before = lifted;
      await emptyFolder(path, 1, { lift, failed });
      if (lifted === before) break;
    }
    if (first === undefined) await promises.rmdir(path);
  } catch (error) {
    failed(error);
  }
  if (first !== undefined) throw first;
}

async function emptyFolder(path: string | Buffer, depth: number, removal: Removal): Promise<void> {
  const folder = await promises.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const opened = `/proc/self/fd/${folder.fd}/`;
    // A name is bytes, whatever they mean.
    for (const entry of await promises.readdir(opened, { withFileTypes: true, encoding: 'buffer' })) {
      const each = Buffer.concat([Buffer.from(opened), entry.name]);
      try {
        if (entry.isDirectory()) await removeFolder(each, depth + 1, removal);
        else await promises.unlink(each);
      } catch (error) {
        removal.failed(error);
      }
    }
  } finally {
    await folder.close();
  }
}

async function removeFolder(path: Buffer, depth: number, removal: Removal): Promise<void> {
  if (depth > MAX_DEPTH) return removal.lift(path);
  await emptyFolder(path, depth, removal);
  await promises.rmdir(path);
}
