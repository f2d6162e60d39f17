// Named network namespaces: made, entered for the length of one call, removed. <dir>/<container> is a file with the
// namespace bind-mounted on it, which keeps it alive without a process. setns(2) is per thread: everything is synchronous.
import { closeSync, fstatSync, openSync, readdirSync, type Stats, statfsSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { bindMount, detachMount, KernelError, setns, unshare } from '../../shared/kernel/libc.ts';
import { containerName } from '../../shared/schema/names.ts';

/** linux/sched.h */
const CLONE_NEWNET = 0x40000000;
/** linux/magic.h: the file system that namespace files are on. */
const NSFS_MAGIC = 0x6e736673;
const OWN = '/proc/thread-self/ns/net';

/** The namespace of the service itself, kept open: to look it up in /proc takes longer than to enter another and return. */
let home: number | undefined;

/** Runs `act`, which may change the thread's network namespace, and returns to the service's own. */
function returningHome<T>(act: () => T): T {
  home ??= openSync(OWN, 'r');
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

export interface Namespaces {
  pathOf(container: string): string;
  /** There is a namespace, not merely a file that lost its mount. */
  exists(container: string): boolean;
  /** Containers with a namespace. */
  list(): string[];
  /**
   * Keeps the namespace open from now on, so that it outlives its file and can be bound again under whoever lives in it.
   * `remove` ends it. False when there is none.
   */
  hold(container: string): boolean;
  /** Its file leads to the namespace that is held. */
  isHeld(container: string): boolean;
  /** A descriptor of the namespace that is held, not the caller's to close. There must be one. */
  heldFd(container: string): number;
  /** Binds the held namespace to its file again. False when none is held. Throws as `create`. */
  bindAgain(container: string): boolean;
  /** As `bindAgain` for the namespace behind `fd`, which it is the holder of from now on. Throws as `create`; then `fd` is the caller's. */
  bindLost(container: string, fd: number): void;
  /** Where none exists. It is held. Throws KernelError or Node's system errors, then nothing is left. Needs CAP_SYS_ADMIN. */
  create(container: string): void;
  /** The namespace itself ends when its last process and socket are gone. Nothing there: a no-op. */
  remove(container: string): void;
  /** A descriptor of the namespace that the file leads to; the caller closes it. */
  open(container: string): number;
}

/** Namespaces under `dir`, which exists and is ours. */
export function openNamespaces(dir: string): Namespaces {
  const pathOf = (container: string): string => join(dir, container);

  const held = new Map<string, { readonly fd: number; readonly device: number; readonly inode: number }>();

  const keep = (container: string, fd: number): void => {
    const { dev: device, ino: inode } = fstatSync(fd);
    held.set(container, { fd, device, inode });
  };

  const release = (container: string): void => {
    if (held.has(container)) closeSync(heldFd(container));
    held.delete(container);
  };

  const heldFd = (container: string): number => {
    const fd = held.get(container)?.fd;
    if (fd === undefined) throw new Error(`no namespace of ${container} is held`);
    return fd;
  };

  const statOf = (container: string): Stats | undefined => statSync(pathOf(container), { throwIfNoEntry: false });

  const exists = (container: string): boolean =>
    statOf(container) !== undefined && statfsSync(pathOf(container)).type === NSFS_MAGIC;

  const remove = (container: string): void => {
    try {
      detachMount(pathOf(container));
    } catch (error) {
      // EINVAL: a file without a mount; ENOENT: not even that.
      if (!(error instanceof KernelError) || !['EINVAL', 'ENOENT'].includes(error.errno)) throw error;
    }
    removeFile(pathOf(container));
    release(container);
  };

  const mountOnNewFile = (container: string, mount: () => void): void => {
    createFile(pathOf(container));
    try {
      mount();
    } catch (error) {
      removeFile(pathOf(container));
      throw error;
    }
  };

  const isHeld = (container: string): boolean => {
    const own = held.get(container);
    if (own === undefined) return false;
    const found = statOf(container);
    return found?.ino === own.inode && found.dev === own.device;
  };

  const hold = (container: string): boolean => {
    if (isHeld(container)) return true;
    if (!exists(container)) return false;
    release(container);
    keep(container, open(container));
    return true;
  };

  const create = (container: string): void => {
    release(container);
    mountOnNewFile(container, () =>
      returningHome(() => {
        unshare(CLONE_NEWNET);
        bindMount(OWN, pathOf(container));
      }),
    );
    keep(container, open(container));
  };

  const bindAgain = (container: string): boolean => {
    if (!held.has(container)) return false;
    mountOnNewFile(container, () => bindMount(`/proc/self/fd/${heldFd(container)}`, pathOf(container)));
    return true;
  };

  const bindLost = (container: string, fd: number): void => {
    mountOnNewFile(container, () => bindMount(`/proc/self/fd/${fd}`, pathOf(container)));
    release(container);
    keep(container, fd);
  };

  const open = (container: string): number => openSync(pathOf(container), 'r');

  const list = (): string[] => {
    const names = readdirSync(dir).filter((name) => containerName.safeParse(name).success);
    return names.filter(exists).sort();
  };

  return { pathOf, exists, hold, isHeld, heldFd, bindAgain, bindLost, list, create, remove, open };
}

/** In the place of one that lost its mount, where there is one. */
function createFile(path: string): void {
  const create = (): void => closeSync(openSync(path, 'wx', 0o444));
  try {
    create();
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    removeFile(path);
    create();
  }
}

/** Not there: a no-op. */
function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
