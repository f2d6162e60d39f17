// Network namespaces that a file keeps alive: entered for the length of one call, made, bound, removed. setns(2) is per thread: everything
// is synchronous.
import { closeSync, openSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import process from 'node:process';
import { KernelError, setns, unshare } from './libc.ts';
import { MS_BIND, mount, unmount } from './mount.ts';
import { errorCode } from './system-error.ts';

/** linux/sched.h */
const CLONE_NEWNET = 0x40000000;
/** linux/magic.h: the file system that namespace files are on. */
const NSFS_MAGIC = 0x6e736673;
/** Of the calling thread. */
export const OWN_NETWORK = '/proc/thread-self/ns/net';

/** The namespace of the service itself, kept open: to look it up in /proc takes longer than to enter another and return. */
let home: number | undefined;

/** Runs `act`, which may change the thread's network namespace, and returns to the service's own. */
function returningHome<T>(act: () => T): T {
  home ??= openSync(OWN_NETWORK, 'r');
  try {
    return act();
  } finally {
    try {
      setns(home, CLONE_NEWNET);
    } catch (error) {
      // In a stranger's namespace every further request would do damage. The supervisor starts us anew, at home.
      process.stderr.write(`cannot return to the own network namespace: ${String(error)}\n`);
      process.kill(process.pid, 'SIGKILL');
    }
  }
}

/** Runs `act` in the namespace behind `fd`. It must not wait for anything. Needs CAP_SYS_ADMIN. */
export function withinNamespace<T>(fd: number, act: () => T): T {
  return returningHome(() => {
    setns(fd, CLONE_NEWNET);
    return act();
  });
}

/** There is a namespace, not merely a file that lost its mount. */
export function isNamespace(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined && statfsSync(path).type === NSFS_MAGIC;
}

/** A new one on a new file, in the place of one that lost its mount. Throws KernelError or Node's system errors, then nothing is left. Needs CAP_SYS_ADMIN. */
export function createNamespace(path: string): void {
  mountOnNewFile(path, () =>
    returningHome(() => {
      unshare(CLONE_NEWNET);
      mount(OWN_NETWORK, path, 'none', MS_BIND);
    }),
  );
}

/** That of the file `from`, and otherwise as `createNamespace`. */
export function bindNamespace(from: string, path: string): void {
  mountOnNewFile(path, () => mount(from, path, 'none', MS_BIND));
}

/** The namespace itself ends when its last process and socket are gone. Nothing there: a no-op. */
export function removeNamespace(path: string): void {
  try {
    unmount(path, true);
  } catch (error) {
    // EINVAL: a file without a mount; ENOENT: not even that.
    if (!(error instanceof KernelError) || !['EINVAL', 'ENOENT'].includes(error.errno)) throw error;
  }
  removeFile(path);
}

function mountOnNewFile(path: string, mountThere: () => void): void {
  createFile(path);
  try {
    mountThere();
  } catch (error) {
    removeFile(path);
    throw error;
  }
}

/** In the place of one that lost its mount, where there is one. */
function createFile(path: string): void {
  const create = (): void => closeSync(openSync(path, 'wx', 0o444));
  try {
    create();
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    removeFile(path);
    create();
  }
}

/** Not there: a no-op. */
function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
