// Folders through which files of containers can be reached are closed to other users of the host: root in a container may make any file
// there setuid, and whoever could run that would be root on the host.
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { makingFolders, usingInside } from './inside-path.ts';
import { lxcPath, type Places } from './places.ts';

/** Its group may pass, and no more: the log service reads what is in `logs`. What gains privileges does so for nobody with no_new_privs. */
const PASSED_BY_GROUP = 0o710;
const OWN = 0o700;

/** <rundir>/lxc exists. `readerGid`: of the log service. */
export function closeLxcFolder(places: Places, readerGid: number | undefined): void {
  const path = lxcPath(places);
  chownSync(path, 0, readerGid ?? 0);
  chmodSync(path, PASSED_BY_GROUP);
}

/**
 * The first folder of `path`, below the root of a disk: made where it is not there, and closed where a build before this one left it open.
 * Throws LinkFound where somebody else who writes to the disk has put a link.
 */
export function closeVolumes(root: string, path: string): void {
  const [first = path] = path.split('/');
  mkdirSync(root, { recursive: true, mode: OWN });
  usingInside(root, first, close, makingFolders(OWN));
}

function close(folder: string): void {
  if ((statSync(folder).mode & 0o777) === OWN) return;
  try {
    chmodSync(folder, OWN);
  } catch {
    // A file system without modes, which has no setuid programs either.
  }
}
