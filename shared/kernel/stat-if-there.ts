// What is at a path, links followed; undefined: nothing. From Node 22 on statSync's own `throwIfNoEntry: false` takes a path through what is no
// folder for one where nothing is: what is told of a damaged disk must not depend on that.
import { type Stats, statSync } from 'node:fs';
import { errorCode } from './system-error.ts';

/** Throws what the kernel said, ENOENT aside. */
export function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
