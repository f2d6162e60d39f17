// mount(2) and umount2(2), bound once; each throws a KernelError that names the call and the errno.
import koffi from 'koffi';
import { kernelError } from './libc.ts';

const libc = koffi.load(null);
const cMount: (source: string, target: string, type: string, flags: number, options: string | null) => number =
  libc.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)',
  );
const cUmount2: (target: string, flags: number) => number = libc.func('int umount2(const char *target, int flags)');

/** linux/mount.h */
export const MS_RDONLY = 1;
export const MS_BIND = 4096;
/** linux/fs.h */
const MNT_DETACH = 2;

/** `options`: what only the file system understands, comma separated. */
export function mount(source: string, target: string, type: string, flags: number, options?: string): void {
  const result = cMount(source, target, type, flags, options ?? null);
  if (result < 0) throw kernelError(koffi.errno(), `mount ${type} on ${target}`);
}

/** `detach`: at once even when busy; the file system itself ends with its last user. */
export function unmount(target: string, detach = false): void {
  const result = cUmount2(target, detach ? MNT_DETACH : 0);
  if (result < 0) throw kernelError(koffi.errno(), `umount ${target}`);
}
