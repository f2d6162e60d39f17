// Word that there is something to look at, for the one that waits for it: what comes while nobody waits is kept for the next wait.
import type { Clock } from './clock.ts';

export interface News {
  tell(): void;
  /** Resolves when something was told since the last wait ended, or after so many milliseconds; undefined: not before. */
  next(timeoutMs: number | undefined): Promise<void>;
}

export function createNews(clock: Clock): News {
  let isNew = false;
  let wake = (): void => undefined;
  return {
    tell() {
      isNew = true;
      wake();
    },
    async next(timeoutMs) {
      if (!isNew) {
        await new Promise<void>((resolve) => {
          const cancel = timeoutMs === undefined ? undefined : clock.after(timeoutMs, resolve);
          wake = () => {
            cancel?.();
            resolve();
          };
        });
      }
      isNew = false;
      wake = () => undefined;
    },
  };
}
