// How much may still be written to the storage.
import { statfs } from 'node:fs/promises';

export interface StorageRoom {
  /** Bytes that are free beyond what is kept in reserve. */
  availableBytes(): Promise<number>;
  /** They as a part of all there is, 0–100. */
  availablePercent(): Promise<number>;
}

/** `reservedPercent` of the file system that `folder` is on stay free for logs, leases and what else must be written down. */
export function createStorageRoom(folder: string, reservedPercent: () => number): StorageRoom {
  return {
    async availableBytes() {
      const { bsize, blocks, bavail } = await statfs(folder);
      return Math.max(0, Math.floor(bavail * bsize - (blocks * bsize * reservedPercent()) / 100));
    },
    async availablePercent() {
      const { blocks, bavail } = await statfs(folder);
      return blocks === 0 ? 100 : Math.max(0, (100 * bavail) / blocks - reservedPercent());
    },
  };
}
