// What the journal says once more, for as long as the machine runs: containers run over a restart of Berth, and nobody else may get their addresses
// then, whatever the disk gives of the journal.
//
//   <rundir>/ipam/leases.journal       as the journal in <storage>/ipam, on a tmpfs as a rule, never synced
//   <rundir>/ipam/leases.journal.new   one that is being written
//
// It is behind the journal, never ahead of it, by what nobody has been told yet. Where it cannot be kept there is none.
import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { type JournalDisk, writeAllNow } from './journal-disk.ts';

/** The same disk, which answers from the copy what it could not read. */
export function withCopy(disk: JournalDisk, folder: string, log: Logger): JournalDisk {
  const path = join(folder, 'leases.journal');
  const beside = `${path}.new`;
  let copy: FileHandle | undefined;

  /** Never rejects. One that lacks something would be worse than none. */
  const keep = async (change: () => Promise<void> | void): Promise<void> => {
    try {
      await change();
    } catch (error) {
      log.warn(`no copy of the lease journal is kept in ${folder}: ${reasonOf(error)}`);
      await leave();
      for (const each of [path, beside]) await rm(each, { force: true }).catch(() => undefined);
    }
  };
  const leave = async (): Promise<void> => {
    const before = copy;
    copy = undefined;
    await before?.close();
  };
  const takePlace = async (): Promise<void> => {
    await leave();
    await rename(beside, path);
    copy = await open(path, 'r+');
  };

  return {
    ...disk,
    async load() {
      const loaded = await disk.load();
      const [only] = loaded.parts;
      if (loaded.unreadable !== undefined && loaded.unreadable.rest !== 'later') {
        const text = await readCopy(path, log);
        if (text === undefined) return loaded;
        return { parts: [text], goesOn: false, unreadable: { ...loaded.unreadable, rest: 'all' } };
      }
      if (loaded.goesOn && only !== undefined) {
        await keep(async () => {
          await writeFile(beside, only);
          await takePlace();
        });
      }
      return loaded;
    },
    async append(bytes, offset) {
      await disk.append(bytes, offset);
      const kept = copy;
      if (kept !== undefined) await keep(() => writeAllNow(kept.fd, bytes, offset));
    },
    async truncate(length) {
      await disk.truncate(length);
      const kept = copy;
      if (kept !== undefined) await keep(() => kept.truncate(length));
    },
    async prepare(bytes) {
      await disk.prepare(bytes);
      await keep(() => writeFile(beside, bytes));
    },
    async adopt() {
      await disk.adopt();
      await keep(takePlace);
    },
    async close() {
      await leave();
      await disk.close();
    },
  };
}

async function readCopy(path: string, log: Logger): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') log.warn(`the copy of the lease journal cannot be read: ${reasonOf(error)}`);
    return undefined;
  }
}
