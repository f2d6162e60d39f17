// A file that is nowhere but in memory (memfd_create(2)), gone with its last descriptor: what a program reads and writes without anybody who waits.
import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { kernelError } from './libc.ts';

/** linux/memfd.h */
const MFD_CLOEXEC = 1;

let cMemfdCreate: ((name: string, flags: number) => number) | undefined;

/** Holds `content`, and is read and written from its beginning. The caller closes it. Throws KernelError. */
export function openMemoryFile(content: string | Uint8Array = ''): number {
  cMemfdCreate ??= koffi.load(null).func('int memfd_create(const char *name, unsigned int flags)');
  const fd = cMemfdCreate('berth', MFD_CLOEXEC);
  if (fd < 0) throw kernelError(koffi.errno(), 'memfd_create');
  try {
    const bytes = Buffer.from(content);
    // At a place: the descriptor's own, which a program inherits, stays at the beginning.
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** All that it holds; undefined when that is more than `maxBytes`. */
export function readMemoryFile(fd: number, maxBytes: number): string | undefined {
  const { size } = fstatSync(fd);
  if (size > maxBytes) return undefined;
  const bytes = Buffer.alloc(size);
  return bytes.toString('utf8', 0, readSync(fd, bytes, 0, size, 0));
}
