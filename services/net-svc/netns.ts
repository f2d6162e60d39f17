// Named network namespaces: made, held open, removed. <dir>/<container> is a file with the namespace bind-mounted on it, which keeps it
// alive without a process.
import { closeSync, fstatSync, openSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { bindNamespace, createNamespace, isNamespace, removeNamespace } from '../../shared/kernel/network-namespace.ts';
import { containerName } from '../../shared/schema/names.ts';

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

  const exists = (container: string): boolean => isNamespace(pathOf(container));

  const remove = (container: string): void => {
    removeNamespace(pathOf(container));
    release(container);
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
    createNamespace(pathOf(container));
    keep(container, open(container));
  };

  const bindAgain = (container: string): boolean => {
    if (!held.has(container)) return false;
    bindNamespace(`/proc/self/fd/${heldFd(container)}`, pathOf(container));
    return true;
  };

  const bindLost = (container: string, fd: number): void => {
    bindNamespace(`/proc/self/fd/${fd}`, pathOf(container));
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
