// Warns of containers whose init cannot be run: in the root filesystem that is packed there is no such program. It is a warning, as what the
// container wrote in a writable layer that is kept may have it. An image that somebody else made is not looked into.
import { Buffer } from 'node:buffer';
import { closeSync, constants, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { HEAD_BYTES } from '../../shared/lxc-config/elf-interpreter.ts';
import { initProblem, type RootNode, type RootTree } from '../../shared/lxc-config/init-problem.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';
import type { Problem, Revision } from '../../shared/revision/revision.ts';
import { CONFIG_FILE } from './pack-arguments.ts';
import { lxcConfig, rootPath } from './pack-lxc-config.ts';
import type { ContainerSource, FoundEntry } from './pack-source.ts';

/** Code: INIT_MISSING. */
export function initWarnings(containers: readonly ContainerSource[], revision: Revision): readonly Problem[] {
  return containers.flatMap((container) => {
    const { name, rootfs, overlay } = container;
    // Without a start there is no init.
    if (revision.containers.find((plan) => plan.name === name)?.statusGoal === 'MOUNTED' || rootfs.kind === 'image')
      return [];
    const { entries } = parseLxcConfig(lxcConfig(name, container.args), `${name}/${CONFIG_FILE}`);
    // Another root, or lines that are elsewhere.
    const isOther = entries.some(
      ({ key, value }) => key === 'lxc.include' || (key === 'lxc.rootfs.path' && value !== rootPath(name)),
    );
    if (isOther) return [];
    const tree = rootfs.kind === 'folder' ? folderTree(rootfs.folder) : listTree(rootfs.entries);
    const message = initProblem(withOverlay(tree, overlay), entries);
    const path = `containers/${name}/rootfs${rootfs.kind === 'list' ? '.list' : ''}`;
    return message === undefined ? [] : [{ path, code: 'INIT_MISSING', message }];
  });
}

function folderTree(folder: string): RootTree {
  return {
    look(path): RootNode | undefined {
      const at = join(folder, path);
      try {
        const stats = lstatSync(at);
        if (stats.isSymbolicLink()) return { kind: 'link', target: readlinkSync(at) };
        return stats.isFile() ? { kind: 'file', mode: stats.mode } : { kind: 'other' };
      } catch {
        // ENOENT, or ENOTDIR below a file.
        return undefined;
      }
    },
    headOf: (path) => headOf(join(folder, path)),
  };
}

/** Folders above what is listed appear by themselves. */
function listTree(listed: readonly FoundEntry[]): RootTree {
  const entries = new Map(listed.map((entry) => [entry.path, entry]));
  return {
    look(path): RootNode | undefined {
      const entry = entries.get(path);
      if (entry?.kind === 'file') return entry;
      if (entry?.kind === 'link') return { kind: 'link', target: entry.target };
      return entry !== undefined || isAbove(path, entries.keys()) ? { kind: 'other' } : undefined;
    },
    headOf(path): Buffer {
      const entry = entries.get(path);
      return entry?.kind === 'file' ? headOf(entry.source) : Buffer.alloc(0);
    },
  };
}

/** Files of `config/` are laid over it by the device. */
function withOverlay(tree: RootTree, overlay: ContainerSource['overlay']): RootTree {
  const laid = new Set([...overlay.keys()].map((path) => `/${path}`));
  return {
    look(path): RootNode | undefined {
      if (laid.has(path)) return { kind: 'unknown' };
      return tree.look(path) ?? (isAbove(path, laid) ? { kind: 'other' } : undefined);
    },
    headOf: tree.headOf,
  };
}

function isAbove(path: string, others: Iterable<string>): boolean {
  return [...others].some((other) => other.startsWith(`${path}/`));
}

/** Empty for what cannot be read, which packing names. */
function headOf(file: string): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return head.subarray(0, readSync(opened, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(opened);
    }
  } catch {
    return head.subarray(0, 0);
  }
}
