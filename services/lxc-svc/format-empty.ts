// Formats a disk that is empty, and no other: what is on it is asked of blkid(8), and looked at here, because blkid answers alike where it
// knows nothing and where it could not read. Out: a disk as `wanted`, or an error that names what is there and the way out.
import { promises, readFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isThere, makeFile } from './disk-files.ts';
import type { DiskTools } from './disk-tools.ts';

export interface Formatting {
  /** A block device or an image. */
  readonly path: string;
  /** As blkid names it. */
  readonly wanted: string;
  /** Program and arguments in front of the path. Nobody is asked, so it must not ask. */
  readonly command: readonly [program: string, ...args: string[]];
  /**
   * A file that is there from before the first byte is written until after the last: a disk whose formatting a power cut or a kill ended is
   * not empty any more, and nothing of anybody's is on it.
   */
  readonly record: string;
}

/** Leaves what is as wanted already; throws for everything else that is not empty: nobody asked to lose it. */
export async function formatEmpty({ path, wanted, command, record }: Formatting, tools: DiskTools): Promise<void> {
  const found = await probe(path, tools);
  const [program, ...args] = command;
  const wayOut = `correct device.json, or, if nothing on it is needed, run '${program} ${path}'`;
  if (found.type !== wanted) {
    const name = found.type ?? (found.table === undefined ? undefined : `a partition table (${found.table})`);
    if (name !== undefined) throw new Error(`${path} holds ${name}, not ${wanted}: ${wayOut}`);
    const bytes = sizeOf(path, await promises.stat(path), tools);
    const begun = `${path} of ${bytes} bytes\n`;
    if (!(await isBlank(path, bytes)) && !(isThere(record) && readFileSync(record, 'utf8') === begun)) {
      throw new Error(`${path} is not empty: it holds something without a name. Only ${wanted} is used: ${wayOut}`);
    }
    await makeFile(record, 1, () => Buffer.from(begun));
    await tools.run(program, [...args, path], { endsWithUs: true });
  }
  await promises.rm(record, { force: true });
}

/** Exit code of blkid(8) where it finds nothing that it knows, or cannot read; 8, for several answers, is an error like any other. */
const BLKID_NOTHING = 2;

/** Neither: it may be empty. An empty partition, of which blkid tells its place in the table, answers so with exit code 0. */
async function probe(path: string, tools: DiskTools) {
  const args = ['-p', '-o', 'export', '-s', 'TYPE', '-s', 'PTTYPE', path];
  const { stdout } = await tools.run('blkid', args, { alsoFine: BLKID_NOTHING });
  const answer = (key: string): string | undefined => new RegExp(`^${key}=(.+)$`, 'm').exec(stdout)?.[1];
  return { type: answer('TYPE'), table: answer('PTTYPE') };
}

/** sysfs counts in these, whatever the device's own are (kernel: Documentation/ABI/stable/sysfs-block). */
const SECTOR_BYTES = 512;

function sizeOf(path: string, stats: Stats, { sysfs }: DiskTools): number {
  if (!stats.isBlockDevice()) return stats.size;
  // makedev(3).
  const number = `${(stats.rdev >> 8) & 0xfff}:${(stats.rdev & 0xff) | ((stats.rdev >> 12) & 0xfff00)}`;
  const bytes = Number(readFileSync(join(sysfs, 'dev/block', number, 'size'), 'utf8')) * SECTOR_BYTES;
  if (bytes > 0) return bytes;
  throw new Error(`${path} has no size: there is no card in it`);
}

/** Where partition tables, file systems, RAID and encryption have their headers. */
const LOOK_BYTES = 1024 * 1024;
/** Of flash that was erased: some cards answer with zeros, others with ones. */
const BLANK = [0x00, 0xff];

/** Throws where it cannot be read. */
async function isBlank(path: string, bytes: number): Promise<boolean> {
  const look = Math.min(LOOK_BYTES, bytes);
  const file = await promises.open(path, 'r');
  try {
    for (const start of [0, bytes - look]) {
      const read = await readAll(file, path, Buffer.alloc(look), start);
      if (!BLANK.some((byte) => read.equals(Buffer.alloc(look, byte)))) return false;
    }
    return true;
  } finally {
    await file.close();
  }
}

async function readAll(file: promises.FileHandle, path: string, into: Buffer, start: number): Promise<Buffer> {
  for (let filled = 0; filled < into.length; ) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, start + filled);
    if (bytesRead === 0) throw new Error(`${path} ends before its size`);
    filled += bytesRead;
  }
  return into;
}
