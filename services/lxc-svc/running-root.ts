// Finds files in the root of a running container, which may have mounted there what never answers: FUSE, autofs, a server of its own, or
// an overlay or a loop device on one of these. So a path is followed by what the kernel tells of the mounts, and a file system is asked in
// two cases only: it is one of the host's, and then where the host has mounted it, or it is a tmpfs.
import { closeSync, fstatSync, openSync } from 'node:fs';
import {
  mountOfPlace,
  O_PATH,
  openKnownPlace,
  openMountRoot,
  openPlaceInMemory,
  openPlaceInMount,
  readOpenLink,
} from '../../shared/kernel/open-inside.ts';
import { type ContainerRoot, isPlainType } from './container-file.ts';
import { MAX_LINKS, partsOf } from './inside-path.ts';
import { mountAt, type NumberedMount, readNumberedMounts, sameOfHost } from './numbered-mounts.ts';

/** The host's mount that has what this one of a container has. */
export type FindOnHost = (mount: NumberedMount) => NumberedMount | undefined;

/** `folders`: where the host has what it has mounted for one container, as long as that runs. */
export function hostMountsOf(folders: readonly string[]): FindOnHost {
  // All containers' mounts are in that table, and each of them would be looked for once a second.
  let own: readonly NumberedMount[] | undefined;
  return (mount) => {
    own ??= (readNumberedMounts('self') ?? []).filter(({ target }) =>
      folders.some((folder) => target === folder || target.startsWith(`${folder}/`)),
    );
    const found = sameOfHost(mount, own);
    // A tmpfs is looked into anyway.
    return found ?? (mount.type === 'tmpfs' ? undefined : sameOfHost(mount, readNumberedMounts('self') ?? []));
  };
}

export interface RunningRoot {
  /** The root of that process. */
  readonly rootFd: number;
  readonly pid: number;
  readonly findOnHost: FindOnHost;
  /** A file that was found here is open still, in the mount of that number: so it is known to be good, and nobody else has its number. */
  readonly isOpenIn: (mount: number) => boolean;
}

export function runningRoot(running: RunningRoot): ContainerRoot {
  return (path) => {
    // Nearly always that is all.
    const known = openKnownPlace(running.rootFd, path);
    if (known === undefined) return undefined;
    const place = known === 'unknown' ? undefined : trustedOrClosed(known, running);
    return place ?? search(running, path);
  };
}

/** The place, where nothing is in the way of asking it. */
function trustedOrClosed(known: number, running: RunningRoot): number | undefined {
  let place: number | undefined;
  try {
    if (isTrusted(known, running) && !fstatSync(known).isSymbolicLink()) place = known;
    return place;
  } finally {
    if (place === undefined) closeSync(known);
  }
}

/** The table is read while the place is open: no other mount has that number then. */
function isTrusted(place: number, { pid, findOnHost, isOpenIn }: RunningRoot): boolean {
  const id = mountOfPlace(place);
  if (isOpenIn(id)) return true;
  const mount = readNumberedMounts(pid)?.find((each) => each.id === id);
  return mount !== undefined && reasonAgainst(mount, findOnHost) === undefined;
}

function reasonAgainst(mount: NumberedMount, findOnHost: FindOnHost): string | undefined {
  const { type, target } = mount;
  const isPlain = type === 'tmpfs' || (isPlainType(type) && findOnHost(mount) !== undefined);
  return isPlain ? undefined : `${type} is mounted on ${target}, and that is neither tmpfs nor a disk of the host`;
}

/** Part by part. Throws where a mount is in the way that may not be asked. */
function search({ rootFd, pid, findOnHost }: RunningRoot, path: string): number | undefined {
  const mounts = readNumberedMounts(pid) ?? [];
  const rootId = mountOfPlace(rootFd);
  // A process whose root is no mount of its own, or another process that has its number by now.
  const root = mounts.find(({ id, target }) => id === rootId && target === '/');
  if (root === undefined) return undefined;
  const left = partsOf(path);
  let resolved: string[] = [];
  for (let links = 0; ; ) {
    const part = left.shift();
    if (part === undefined) return undefined;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    resolved.push(part);
    const mount = mountAt(mounts, root, resolved);
    const against = reasonAgainst(mount, findOnHost);
    if (against !== undefined) throw new Error(against);
    const place = openIn(mount, resolved.slice(partsOf(mount.target).length).join('/'), rootFd, findOnHost);
    if (place === undefined) return undefined;
    const isLink = fstatSync(place).isSymbolicLink();
    if (!isLink && left.length === 0) return place;
    const target = isLink ? readAndClose(place) : closeSync(place);
    if (target === undefined) continue;
    links += 1;
    if (links > MAX_LINKS) throw new Error(`it leads through more than ${MAX_LINKS} symbolic links`);
    resolved.pop();
    if (target.startsWith('/')) resolved = [];
    left.unshift(...partsOf(target));
  }
}

function readAndClose(link: number): string {
  try {
    return readOpenLink(link);
  } finally {
    closeSync(link);
  }
}

/** `inside`: without links but for the last part. */
function openIn(mount: NumberedMount, inside: string, rootFd: number, findOnHost: FindOnHost): number | undefined {
  const onHost = findOnHost(mount);
  if (onHost !== undefined) {
    // Where the container can mount nothing.
    const base = openSync(onHost.target, O_PATH);
    const below = partsOf(`${mount.root.slice(onHost.root.length)}/${inside}`).join('/');
    return openBelow(base, onHost, below, openPlaceInMount);
  }
  const base = openMountRoot(rootFd, mount.target);
  return base === undefined ? undefined : openBelow(base, mount, inside, openPlaceInMemory);
}

/** Closes `base`, or answers it. Undefined also when something else is mounted there by now. */
function openBelow(
  base: number,
  { id }: NumberedMount,
  inside: string,
  open: (fd: number, path: string) => number | undefined,
): number | undefined {
  let place: number | undefined;
  try {
    if (mountOfPlace(base) === id) place = inside === '' ? base : open(base, inside);
    return place;
  } finally {
    if (place !== base) closeSync(base);
  }
}
