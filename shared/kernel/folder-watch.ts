// Tells that something changed in a folder (inotify), then looks away for a moment: somebody who writes a file line by line wakes us once,
// not once a line.
import { type FSWatcher, watch } from 'node:fs';

export interface FolderWatch {
  close(): void;
}

/** Where it cannot be watched, for inotify's limits or because it is not there: it is tried again, and looked at all the same. */
const RETRY_MS = 5_000;

/** `onChanged`: `pauseMs` after a change, for all changes until then; one that comes later is told again. Keeps no process alive. */
export function watchFolder(folder: string, pauseMs: number, onChanged: () => void): FolderWatch {
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  const close = (): void => {
    clearTimeout(timer);
    watcher?.close();
    watcher = undefined;
  };
  const lookAfter = (ms: number): void => {
    close();
    timer = setTimeout(() => {
      // First the ears, then the eyes: what changes after the look is heard.
      listen();
      onChanged();
    }, ms);
    timer.unref();
  };
  const listen = (): void => {
    try {
      watcher = watch(folder, { persistent: false }, () => lookAfter(pauseMs));
      watcher.on('error', () => lookAfter(RETRY_MS));
    } catch {
      lookAfter(RETRY_MS);
    }
  };
  listen();
  return { close };
}
