// The supervisor's own stdout, for its own lines and for log-svc: so that writing to it never waits for whoever reads it.
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { sendNow } from '../../shared/kernel/libc.ts';

const STDOUT = 1;

export interface HeldStdout {
  readonly fd: number;
  close(): void;
}

/**
 * Not to block is a property of an open file, which every process shares that inherited it: the supervisor's own lines and the shell that
 * started it must not find it changed. So a pipe or terminal is opened anew. A regular file is shared, because its offset has to be, and
 * never blocks; a socket cannot be opened and is shared as it is, and asked
 * not to wait with every write. Undefined: there is no stdout.
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

/**
 * Writes lines for people. One that would have to wait is left out: logs may fill the same pipe, and a supervisor that waits for its
 * reader is no supervisor.
 */
export function stdoutSpeaker(): (line: string) => void {
  const stdout = openStdout();
  if (stdout === undefined) return () => undefined;
  const write = fstatSync(stdout.fd).isSocket() ? sendNow : writeSync;
  return (line) => {
    try {
      write(stdout.fd, Buffer.from(`${line}\n`));
    } catch {
      // Nobody reads, or nobody is there any more.
    }
  };
}
