// Which files of a revision hold whole lines, and how one whose last line is torn is made whole again.
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { AppendedFile } from './carried-bytes.ts';
import { isMessageFile } from './message-files.ts';

/** Below the revision's folder, as all names here. */
export const SINGLE_FILE = 'pv.log';
export const OWN_MESSAGES = 'pantavisor/pantavisor.log';

/** The others hold what containers wrote, as it is. One at the root of a container can have such a name, too: log-folder.ts tells them apart. */
export function holdsLines(file: string): boolean {
  return file === SINGLE_FILE || file === OWN_MESSAGES || isMessageFile(file);
}

const NEWLINE = 0x0a;
const BLOCK_BYTES = 4096;
/** No line of ours is as long. */
const MAX_LINE_BYTES = 1024 * 1024;

/**
 * For appending. What is behind the last line is cut off: SIGKILL ends a write(2) at the end of any page of the file (the
 * kernel's generic_perform_write), a full disk anywhere, and what comes next would stand in the same line. Nothing is lost: the torn
 * line was not acknowledged, so it comes again, or it was counted as dropped. `mayMake`: an empty one where there is none, of `mode`.
 */
export function openLines(path: string, mayMake: boolean, mode: number): AppendedFile {
  // Both append, as nobody writes at a place here.
  const fd = openSync(path, mayMake ? 'a+' : 'r+', mode);
  try {
    const size = endLastLine(fd);
    return { fd, inode: fstatSync(fd).ino, size, known: size };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function endLastLine(fd: number): number {
  const { size } = fstatSync(fd);
  const end = endOfLastLine(fd, size);
  if (end === size) return size;
  if (end !== undefined) {
    ftruncateSync(fd, end);
    return end;
  }
  return size + writeSync(fd, '\n', size);
}

/** Undefined: there is none for so long that this is nothing of ours. */
function endOfLastLine(fd: number, size: number): number | undefined {
  const block = Buffer.alloc(Math.min(size, BLOCK_BYTES));
  let end = size;
  while (end > 0 && size - end < MAX_LINE_BYTES) {
    const start = Math.max(0, end - BLOCK_BYTES);
    const newline = block.subarray(0, readSync(fd, block, 0, end - start, start)).lastIndexOf(NEWLINE);
    if (newline !== -1) return start + newline + 1;
    end = start;
  }
  return end === 0 ? 0 : undefined;
}
