// The supervisor's own stdout for log-svc: opened so that writing to it never waits for whoever reads it.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';

const STDOUT = 1;

export interface HeldStdout {
  readonly fd: number;
  close(): void;
}

/**
 * Not to block is a property of an open file, which every process shares that inherited it: the supervisor's own lines and the shell that
 * started it must not find it changed. So a pipe or terminal is opened anew. A regular file is shared, because its offset has to be, and
 * never blocks; a socket cannot be opened and is shared as it is. Undefined: there is no stdout.
 */
export function openStdout(): HeldStdout | undefined {
  try {
    const stat = fstatSync(STDOUT);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return { fd: STDOUT, close: () => undefined };
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    const fd = openSync(`/proc/self/fd/${STDOUT}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    return { fd, close: () => closeSync(fd) };
  } catch {
    return undefined;
  }
}
