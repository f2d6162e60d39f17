// Tells when files change that others write: also when they are replaced, come into being, or are links to files that do.
import { existsSync, type FSWatcher, readlinkSync, realpathSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** Whoever writes such a file does it in several steps. */
const SETTLE_MS = 50;
/** As the kernel's (path_resolution(7)). */
const MAX_LINKS = 40;

export interface FileWatch {
  close(): void;
}

/** `paths`: absolute. Of a folder that is not there, the nearest above it is watched until it is. Keeps no process alive. */
export function watchFiles(paths: readonly string[], onChange: () => void): FileWatch {
  let watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;

  const close = (): void => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
    clearTimeout(timer);
    timer = undefined;
  };

  const changed = (): void => {
    timer ??= setTimeout(() => {
      // A link may lead elsewhere by now.
      close();
      open();
      onChange();
    }, SETTLE_MS).unref();
  };

  const open = (): void => {
    for (const path of new Set(paths.flatMap(withTargets))) {
      try {
        const { folder, name } = nearest(path);
        const watcher = watch(folder, { persistent: false }, (_event, heard) => {
          // The folder itself is what goes, when it goes.
          if (heard === null || heard === name || heard === basename(folder)) changed();
        });
        watcher.on('error', changed);
        watchers.push(watcher);
        // It came in between.
        if (nearest(path).folder !== folder) changed();
      } catch {
        // No more watches to be had: the next change of another of them makes us look, too.
      }
    }
  };

  open();
  return { close };
}

/** The folder that is there on the way to a file, as a file that is replaced is another one; and what must come, or change, in it. */
function nearest(path: string): { readonly folder: string; readonly name: string } {
  let [folder, name] = [dirname(path), basename(path)];
  while (folder !== '/' && !existsSync(folder)) [folder, name] = [dirname(folder), basename(folder)];
  return { folder, name };
}

/** With all that it leads to, there or not. */
function withTargets(path: string): string[] {
  const found = [path];
  try {
    for (let last = path; found.length <= MAX_LINKS; found.push(last)) {
      const target = readlinkSync(last);
      last = resolve(realpathSync(dirname(last)), target);
    }
  } catch {
    // No link, or not there: where the way ends.
  }
  return found;
}
