// How much may still be written to the storage.
import { statfs } from 'node:fs/promises';

export interface StorageRoom {
  /** Bytes that are free beyond what is kept in reserve. */
  availableBytes(): Promise<number>;
  /** They as a part of all there is, 0–100. */
  availablePercent(): Promise<number>;
}

/**
 * `reservedPercent` of the file system that `folder` is on stay free for logs, leases and what else must be written down: of its bytes, and of its
 * inodes where it has a number of them, as each of these is written to a new file first.
 */
export function createStorageRoom(folder: string, reservedPercent: () => number): StorageRoom {
  return {
    async availableBytes() {
      const { bsize, blocks, bavail, files, ffree } = await statfs(folder);
      if (100 * ffree <= files * reservedPercent() && files > 0) return 0;
      return Math.max(0, Math.floor(bavail * bsize - (blocks * bsize * reservedPercent()) / 100));
    },
    async availablePercent() {
      const { blocks, bavail, files, ffree } = await statfs(folder);
      return Math.max(0, Math.min(percentOf(bavail, blocks), percentOf(ffree, files)) - reservedPercent());
    },
  };
}

/** Of nothing that could be used up it is all. */
function percentOf(part: number, all: number): number {
  return all === 0 ? 100 : (100 * part) / all;
}
