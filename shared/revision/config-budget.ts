// What of LXC configurations is read for one revision: each up to a size, and all together up to another, because the process that checks
// a revision does nothing else meanwhile. In: a reader of objects. Out: one that keeps these bounds, and where they were met. Pure.
import { MAX_CONFIG_BYTES } from '../lxc-config/parse.ts';
import type { Problem } from './revision.ts';

/**
 * The text of an object, undefined when it cannot be read. `path`: inside the revision. Of one with more than MAX_CONFIG_BYTES it
 * answers more than so many, and need not answer all.
 */
export type ReadObject = (path: string, sha256: string) => string | undefined;

/** Read for one revision, what containers share once for each: a thousand containers with 2 KiB. */
const MAX_TOTAL_BYTES = 2 * 1024 * 1024;

export interface ConfigBudget {
  /** What is too large is empty. */
  readonly read: ReadObject;
  /** Grows with what is read. Code: CONFIG_TOO_LARGE. */
  readonly problems: readonly Problem[];
}

export function configBudget(readObject: ReadObject): ConfigBudget {
  const problems: Problem[] = [];
  let total = 0;
  const refuse = (path: string, message: string): string => {
    problems.push({ path, code: 'CONFIG_TOO_LARGE', message });
    return '';
  };
  return {
    problems,
    read(path, digest) {
      if (total > MAX_TOTAL_BYTES) return '';
      const text = readObject(path, digest);
      if (text === undefined) return undefined;
      const bytes = Buffer.byteLength(text);
      total += bytes;
      if (total > MAX_TOTAL_BYTES) {
        const rule = `all configurations of a revision together have at most ${MAX_TOTAL_BYTES}`;
        return refuse(path, `is one too many: ${rule} bytes, what containers share counted for each`);
      }
      if (bytes <= MAX_CONFIG_BYTES) return text;
      return refuse(path, `is no LXC configuration: it has more than ${MAX_CONFIG_BYTES} bytes`);
    },
  };
}
