// Which program the kernel starts a file with: the `#!` line of a script, or the dynamic loader that an ELF file names. Pure.
import type { Buffer } from 'node:buffer';

/** Of a script's first line, BINPRM_BUF_SIZE (linux/binfmts.h); an ELF file's headers and the loader's name are well below it. */
export const HEAD_BYTES = 4096;
/** elf(5). */
const PT_INTERP = 3;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;

/** `head`: the first bytes of the file. An absolute path; undefined: none is needed, or the head does not tell. */
export function interpreterOf(head: Buffer): string | undefined {
  if (head.toString('latin1', 0, 2) === '#!') {
    // As the kernel parts it (linux: fs/binfmt_script.c): a CR at the end of a line of DOS is part of the name.
    return /^#![ \t]*(\/[^ \t\0]+)/.exec(head.toString('utf8').split('\n', 1)[0] ?? '')?.[1];
  }
  try {
    return head.toString('latin1', 0, 4) === '\x7fELF' ? loaderOf(head) : undefined;
  } catch {
    // A header that points beyond what was read.
    return undefined;
  }
}

function loaderOf(head: Buffer): string | undefined {
  const is64 = head[4] === CLASS_64;
  const little = head[5] === LITTLE_ENDIAN;
  const half = (at: number): number => (little ? head.readUInt16LE(at) : head.readUInt16BE(at));
  const word = (at: number): number => (little ? head.readUInt32LE(at) : head.readUInt32BE(at));
  /** An offset or a size; the upper half of 64 bits is 0 for everything in the head. */
  const address = (at: number): number => word(is64 && !little ? at + 4 : at);
  const [table, entryBytes, count] = is64
    ? [address(0x20), half(0x36), half(0x38)]
    : [address(0x1c), half(0x2a), half(0x2c)];
  for (let index = 0; index < count; index += 1) {
    const entry = table + index * entryBytes;
    if (word(entry) !== PT_INTERP) continue;
    const start = address(entry + (is64 ? 8 : 4));
    const end = start + address(entry + (is64 ? 0x20 : 0x10));
    const name = head.toString('utf8', start, end).replace(/\0.*$/s, '');
    return name.startsWith('/') ? name : undefined;
  }
  return undefined;
}
