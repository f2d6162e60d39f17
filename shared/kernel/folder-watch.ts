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
  const watch = new Watch(folder, pauseMs, onChanged);
  watch.listen();
  return watch;
}

/** A class, for what its closures would take: there are three of them for each container. */
class Watch implements FolderWatch {
  readonly #folder: string;
  readonly #pauseMs: number;
  readonly #onChanged: () => void;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(folder: string, pauseMs: number, onChanged: () => void) {
    this.#folder = folder;
    this.#pauseMs = pauseMs;
    this.#onChanged = onChanged;
  }

  listen(): void {
    try {
      this.#watcher = watch(this.#folder, { persistent: false }, () => this.#lookAfter(this.#pauseMs));
      this.#watcher.on('error', () => this.#lookAfter(RETRY_MS));
    } catch {
      this.#lookAfter(RETRY_MS);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #lookAfter(ms: number): void {
    this.close();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // First the ears, then the eyes: what changes after the look is heard.
      this.listen();
      this.#onChanged();
    }, ms);
    this.#timer.unref();
  }
}
