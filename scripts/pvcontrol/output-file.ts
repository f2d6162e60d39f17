// `-f FILE`: what is printed goes there. In: a path; out: descriptor 1 is that file, also for programs that are started.
import { closeSync, openSync } from 'node:fs';
import { reasonOf } from '../../shared/kernel/system-error.ts';

const STDOUT = 1;

/** `message` names the file. */
export class CannotPrint extends Error {}

/** Only before anything has asked for process.stdout, which stays what the descriptor was then. Throws CannotPrint. */
export function printInto(path: string): void {
  const opened = open(path);
  // open(2) takes the lowest free number, as Node has no dup2; by the number of what is open, since a second open would wait for a FIFO's next reader.
  closeSync(STDOUT);
  open(`/proc/self/fd/${opened}`);
  closeSync(opened);
}

function open(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new CannotPrint(reasonOf(error));
  }
}
