// Tells when files change that others write: also when they are replaced, come into being, or are links to files that do.
import { type FSWatcher, realpathSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Whoever writes such a file does it in several steps. */
const SETTLE_MS = 50;

export interface FileWatch {
  close(): void;
}

/** A folder that is not there is not watched before another of them changes. Keeps no process alive. */
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
    // The folder: a file that is replaced is another file.
    for (const path of new Set(paths.flatMap(withTarget))) {
      try {
        const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
          if (name === null || name === basename(path)) changed();
        });
        watcher.on('error', changed);
        watchers.push(watcher);
      } catch {
        // There is no such folder, or no more watches to be had: the next change of the kernel's tables makes us look, too.
      }
    }
  };

  open();
  return { close };
}

function withTarget(path: string): string[] {
  try {
    return [path, realpathSync(path)];
  } catch {
    return [path];
  }
}
