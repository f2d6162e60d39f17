// The resolv.conf of containers with a network of their own: what the host's says, with name servers that can be reached from there. One
// file for all that only read it, and a copy for each that may write. None is ever replaced: whoever has bound a file goes on with that one.
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { type FileWatch, watchFiles } from '../../shared/kernel/file-watch.ts';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { makeResolvCopy, updateResolvCopy } from './resolv-copy.ts';

/** The first is the host's. The others have the servers of its networks, where that has one on the host's loopback, which asks them. */
const SOURCES = [
  '/etc/resolv.conf',
  // systemd-resolved(8)
  '/run/systemd/resolve/resolv.conf',
  // NetworkManager.conf(5), rc-manager
  '/run/NetworkManager/no-stub-resolv.conf',
];

export interface ResolvConf {
  /** It is there, and follows the host's from then on. Throws what the system says. */
  place(): string;
  /** One more, in this folder, for a container that may write it and does not run yet. It follows as long as it says the same. */
  copy(folder: string): string;
  close(): void;
}

export interface ResolvConfOptions {
  /** Of the file for all. */
  readonly path: string;
  /** Folders in which copies may be. */
  readonly copies: () => readonly string[];
  readonly log: Logger;
  readonly sources?: readonly string[];
}

/** A file that a service before this one made is followed at once: containers may have it. */
export function createResolvConf({ path, copies, log, sources = SOURCES }: ResolvConfOptions): ResolvConf {
  let watching: FileWatch | undefined;
  let unreachable = '';
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      log.warn(`name servers of containers stay as they were: ${String(error)}`);
    }
  };
  const write = (): void => {
    const text = reachable(sources);
    // Before that itself is written: a kill in between leaves what they are told by.
    const before = textIfThere(path);
    if (before !== text) for (const folder of copies()) attempt(() => updateResolvCopy(folder, before, text));
    rewrite(path, text);
    const servers = serversOf(text).join(', ');
    const isTold = servers === unreachable;
    unreachable = isReachable(text) ? '' : servers;
    if (unreachable === '' || isTold) return;
    log.warn(`name servers of this machine (${servers}) are on its loopback: containers of pools cannot ask them`);
  };
  const follow = (): void => {
    watching?.close();
    // First the ears, then the eyes.
    watching = watchFiles(sources, () => attempt(write));
    write();
  };
  if (existsSync(path)) attempt(follow);
  const place = (): string => {
    if (watching === undefined || !existsSync(path)) follow();
    return path;
  };
  return {
    place,
    copy: (folder) => makeResolvCopy(folder, textIfThere(place())),
    close: () => watching?.close(),
  };
}

/** The first that names a server which containers reach; the host's own, where none does. */
function reachable(sources: readonly string[]): string {
  const texts = sources.map(textIfThere);
  return texts.find(isReachable) ?? texts[0] ?? '';
}

/** resolv.conf(5) */
function serversOf(text: string): readonly string[] {
  return [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, server = '']) => server);
}

function isReachable(text: string): boolean {
  return serversOf(text).some((server) => !server.startsWith('127.') && server !== '::1');
}

/** In place, and cut to its length last: a reader finds the lines of before or those of now. */
function rewrite(path: string, text: string): void {
  const isThere = existsSync(path);
  if (isThere && textIfThere(path) === text) return;
  const bytes = Buffer.from(text);
  writeFileSync(path, bytes, { flag: isThere ? 'r+' : 'w', mode: 0o644 });
  truncateSync(path, bytes.length);
}
