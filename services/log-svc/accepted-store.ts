// What was read from a pipe and is not laid down yet, on disk, so that SIGKILL between reading and writing loses no line.
//
// <rundir>/log/<source>.accepted, on a tmpfs as a rule:
//   12 bytes   decimal offset of the first byte that is still needed, padded with spaces, ended by "\n"
//   the rest   bytes as they were read
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

const HEADER_BYTES = 12;
/** So many bytes may be in the file that nobody needs any more; then it is written anew. */
const MAX_FINISHED_BYTES = 1024 * 1024;

export interface AcceptedStore {
  /** What a predecessor accepted and did not lay down. */
  readonly leftOver: Buffer;
  accept(chunk: Buffer): void;
  /** Everything but the last `pendingBytes` is laid down. */
  finish(pendingBytes: number): void;
  close(): void;
}

/** Never throws: without a file (no space, no permission) lines pass as before, and a kill can lose what was just read. */
export function openAcceptedStore(path: string): AcceptedStore {
  let file: AcceptedFile | undefined;
  const attempt = <T>(action: () => T): T | undefined => {
    try {
      return action();
    } catch {
      file?.close();
      file = undefined;
      // A file with a hole in the middle would be read as lines that nobody wrote.
      rmSync(path, { force: true });
      return undefined;
    }
  };
  const leftOver = attempt(() => {
    file = openFile(path);
    return file.leftOver();
  });
  return {
    leftOver: leftOver ?? Buffer.alloc(0),
    accept: (chunk) => attempt(() => file?.accept(chunk)),
    finish(pendingBytes) {
      attempt(() => file?.finish(pendingBytes));
      if (file === undefined && pendingBytes === 0) file = attempt(() => openFile(path));
    },
    close: () => file?.close(),
  };
}

interface AcceptedFile {
  leftOver(): Buffer;
  accept(chunk: Buffer): void;
  finish(pendingBytes: number): void;
  close(): void;
}

function headerOf(start: number): Buffer {
  return Buffer.from(`${String(start).padStart(HEADER_BYTES - 1)}\n`, 'latin1');
}

function openFile(path: string): AcceptedFile {
  let fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  let end = fstatSync(fd).size;
  let start = readStart(fd, end);
  const setStart = (next: number): void => {
    if (next === start) return;
    start = next;
    writeAll(fd, headerOf(start), 0);
  };
  const empty = (): void => {
    // Killed between the two, the file starts behind its end, which reads as nothing.
    ftruncateSync(fd, Math.min(end, HEADER_BYTES));
    end = HEADER_BYTES;
    setStart(HEADER_BYTES);
  };
  const rewrite = (rest: Buffer): void => {
    writeFileSync(`${path}.new`, Buffer.concat([headerOf(HEADER_BYTES), rest]), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    closeSync(fd);
    fd = openSync(path, constants.O_RDWR);
    start = HEADER_BYTES;
    end = HEADER_BYTES + rest.length;
  };
  if (start >= end) empty();
  return {
    leftOver: () => readAt(fd, start, end - start),
    accept(chunk) {
      writeAll(fd, chunk, end);
      end += chunk.length;
    },
    finish(pendingBytes) {
      if (pendingBytes === 0) empty();
      else if (end - pendingBytes > MAX_FINISHED_BYTES) rewrite(readAt(fd, end - pendingBytes, pendingBytes));
      else setStart(end - pendingBytes);
    },
    close: () => closeSync(fd),
  };
}

/** Behind every end where no header can be read: the file is nobody's, and is emptied. */
function readStart(fd: number, size: number): number {
  const start = Number(readAt(fd, 0, HEADER_BYTES).toString('latin1'));
  return size >= HEADER_BYTES && Number.isInteger(start) && start >= HEADER_BYTES ? start : Number.POSITIVE_INFINITY;
}

function readAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(Math.max(0, length));
  return bytes.subarray(0, bytes.length === 0 ? 0 : readSync(fd, bytes, 0, bytes.length, position));
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  const written = writeSync(fd, bytes, 0, bytes.length, position);
  if (written < bytes.length) throw new Error('no space left');
}
