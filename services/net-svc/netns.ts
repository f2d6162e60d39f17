// Named network namespaces: made, entered for the length of one call, removed. <dir>/<container> is a file with the
// namespace bind-mounted on it, which keeps it alive without a process. setns(2) is per thread: everything is synchronous.
import { closeSync, openSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { bindMount, detachMount, KernelError, setns, unshare } from '../../shared/kernel/libc.ts';
import { containerName } from '../../shared/schema/names.ts';

/** linux/sched.h */
const CLONE_NEWNET = 0x40000000;
/** linux/magic.h: the file system that namespace files are on. */
const NSFS_MAGIC = 0x6e736673;
const OWN = '/proc/thread-self/ns/net';

/** Runs `act`, which may change the thread's network namespace, and returns to the one from before. */
function returningHome<T>(act: () => T): T {
  const home = openSync(OWN, 'r');
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
    closeSync(home);
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
  /** Where none exists. Throws KernelError or Node's system errors, then nothing is left. Needs CAP_SYS_ADMIN. */
  create(container: string): void;
  /** The namespace itself ends when its last process and socket are gone. Nothing there: a no-op. */
  remove(container: string): void;
  /** A descriptor of the namespace; the caller closes it. */
  open(container: string): number;
}

/** Namespaces under `dir`, which exists and is ours. */
export function openNamespaces(dir: string): Namespaces {
  const pathOf = (container: string): string => join(dir, container);

  const exists = (container: string): boolean => {
    try {
      return statfsSync(pathOf(container)).type === NSFS_MAGIC;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  };

  const remove = (container: string): void => {
    try {
      detachMount(pathOf(container));
    } catch (error) {
      // EINVAL: a file without a mount; ENOENT: not even that.
      if (!(error instanceof KernelError) || !['EINVAL', 'ENOENT'].includes(error.errno)) throw error;
    }
    rmSync(pathOf(container), { force: true });
  };

  const create = (container: string): void => {
    rmSync(pathOf(container), { force: true });
    closeSync(openSync(pathOf(container), 'wx', 0o444));
    try {
      returningHome(() => {
        unshare(CLONE_NEWNET);
        bindMount(OWN, pathOf(container));
      });
    } catch (error) {
      rmSync(pathOf(container), { force: true });
      throw error;
    }
  };

  const open = (container: string): number => openSync(pathOf(container), 'r');

  const list = (): string[] => {
    const names = readdirSync(dir).filter((name) => containerName.safeParse(name).success);
    return names.filter(exists).sort();
  };

  return { pathOf, exists, list, create, remove, open };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
