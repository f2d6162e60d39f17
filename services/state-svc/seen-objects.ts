// Which files are known to hold their object since this process began, as it was hashed here or while it was uploaded: in memory, for
// an answer that somebody waits for. What comes to run is hashed again, whatever is known here.
import type { Checksums } from './checksum-pool.ts';
import { stampOf } from './known-checksums.ts';

export interface SeenObjects {
  /** As far as its inode, size and time of change tell. */
  holds(path: string, digest: string): boolean;
  /** It was just hashed by whoever wrote it. */
  note(path: string, digest: string): void;
  /** It was found to hold something else, whatever it looks like. */
  forget(digest: string): void;
  /** Notes what is read, unless the file changes meanwhile. */
  noting(read: Checksums['checksum']): Checksums['checksum'];
}

/** Of all revisions on a device; some 600 KB. */
const MAX_SEEN = 4_096;

export function createSeenObjects(most = MAX_SEEN): SeenObjects {
  /** Digest → the stamp of its file, seen longest ago first. */
  const stamps = new Map<string, string>();
  const set = (digest: string, stamp: string | undefined): void => {
    stamps.delete(digest);
    if (stamp === undefined) return;
    stamps.set(digest, stamp);
    const oldest = stamps.keys().next();
    if (stamps.size > most && !oldest.done) stamps.delete(oldest.value);
  };
  return {
    holds: (path, digest) => stamps.has(digest) && stamps.get(digest) === stampOf(path),
    note: (path, digest) => set(digest, stampOf(path)),
    forget: (digest) => void stamps.delete(digest),
    noting: (read) => async (path) => {
      const before = stampOf(path);
      const found = await read(path);
      if (found.ok && before === stampOf(path)) set(found.sha256, before);
      return found;
    },
  };
}
