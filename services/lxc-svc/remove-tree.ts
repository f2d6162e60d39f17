// rm -r of folders that a container may still write to: rm(1) of Node goes by paths, and what was a folder when it was looked at can be a
// link to one of the host by the time that its files are removed.
import { constants, promises } from 'node:fs';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Each folder on the way down is an open descriptor. */
const MAX_DEPTH = 128;

/** `path`: no parent of it is a container's to change. Throws what the system says; then some of it is left. */
export async function removeTree(path: string): Promise<void> {
  if ((await promises.lstat(path)).isDirectory()) await removeFolder(path, 1);
  else await promises.unlink(path);
}

async function removeFolder(path: string | Buffer, depth: number): Promise<void> {
  if (depth > MAX_DEPTH) throw new Error(`there are more than ${MAX_DEPTH} folders in one another`);
  const folder = await promises.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const opened = `/proc/self/fd/${folder.fd}/`;
    // A name is bytes, whatever they mean.
    for (const entry of await promises.readdir(opened, { withFileTypes: true, encoding: 'buffer' })) {
      const each = Buffer.concat([Buffer.from(opened), entry.name]);
      if (entry.isDirectory()) await removeFolder(each, depth + 1);
      else await promises.unlink(each);
    }
  } finally {
    await folder.close();
  }
  await promises.rmdir(path);
}
