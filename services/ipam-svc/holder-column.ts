// Who has or had each slot, `container/interface`, in one piece of memory: as strings, 65,000 of them are as many objects for the garbage
// collector. Pure. A holder is staged first, and then compared with those of slots or written to one.

export interface HolderColumn {
  /** Answers its hash. */
  stage(holder: string): number;
  /** Of the ASCII text in source[from, end) that has a space where the holder has its slash. */
  stageBytes(source: Uint8Array, from: number, end: number): number;
  isStaged(slot: number): boolean;
  writeStaged(slot: number): void;
  /** Empty where nothing was written. */
  read(slot: number): string;
  /** What staging the slot's holder would answer. */
  hashAt(slot: number): number;
}

const FIRST_SLOTS = 16;
const FIRST_BYTES = 256;
const SPACE = 0x20;
const SLASH = 0x2f;

/** FNV-1a, 32 bits (RFC 9923). */
const FNV_BASIS = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

interface Columns {
  readonly start: Uint32Array;
  /** A container's name has 63 characters at most, an interface's 15. */
  readonly length: Uint8Array;
  readonly hash: Int32Array;
}

export function createHolderColumn(): HolderColumn {
  let columns = allocateColumns(FIRST_SLOTS);
  let bytes = Buffer.alloc(FIRST_BYTES);
  /** Bytes up to here are taken; those of holders that were replaced are nobody's. What is staged follows them. */
  let used = 0;
  let live = 0;
  /** One that came as a string is mostly asked for again at once. */
  let staged: string | undefined;
  let stagedLength = 0;
  let stagedHash = 0;

  const startOf = (slot: number): number => columns.start[slot] ?? 0;
  const lengthOf = (slot: number): number => columns.length[slot] ?? 0;

  function stageBytes(source: Uint8Array, from: number, end: number): number {
    if (used + end - from > bytes.length) makeRoom(end - from);
    let hash = FNV_BASIS;
    for (let at = from; at < end; at += 1) {
      const byte = source[at] ?? 0;
      const code = byte === SPACE ? SLASH : byte;
      bytes[used + at - from] = code;
      hash = Math.imul(hash ^ code, FNV_PRIME);
    }
    staged = undefined;
    stagedLength = end - from;
    stagedHash = hash;
    return hash;
  }

  /** Moves all holders together, into twice the room that they and `more` bytes need. */
  function makeRoom(more: number): void {
    const before = bytes;
    bytes = Buffer.alloc(2 * (live + more));
    if (live === used) {
      before.copy(bytes);
      return;
    }
    used = 0;
    for (const [slot, start] of columns.start.entries()) {
      columns.start[slot] = used;
      used += before.copy(bytes, used, start, start + lengthOf(slot));
    }
  }

  return {
    stage(holder) {
      if (holder === staged) return stagedHash;
      if (used + holder.length > bytes.length) makeRoom(holder.length);
      bytes.write(holder, used, 'latin1');
      const hash = stageBytes(bytes, used, used + holder.length);
      staged = holder;
      return hash;
    },
    stageBytes,
    isStaged(slot) {
      if (lengthOf(slot) !== stagedLength) return false;
      const start = startOf(slot);
      for (let at = 0; at < stagedLength; at += 1) if (bytes[start + at] !== bytes[used + at]) return false;
      return true;
    },
    writeStaged(slot) {
      while (slot >= columns.length.length) columns = grow(columns);
      live += stagedLength - lengthOf(slot);
      columns.start[slot] = used;
      columns.length[slot] = stagedLength;
      columns.hash[slot] = stagedHash;
      used += stagedLength;
      staged = undefined;
      stagedLength = 0;
    },
    read: (slot) => bytes.toString('latin1', startOf(slot), startOf(slot) + lengthOf(slot)),
    hashAt: (slot) => columns.hash[slot] ?? 0,
  };
}

function allocateColumns(slots: number): Columns {
  return { start: new Uint32Array(slots), length: new Uint8Array(slots), hash: new Int32Array(slots) };
}

function grow(old: Columns): Columns {
  const columns = allocateColumns(old.length.length * 2);
  columns.start.set(old.start);
  columns.length.set(old.length);
  columns.hash.set(old.hash);
  return columns;
}
