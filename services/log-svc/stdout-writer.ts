// Writes to a stdout that is shared with others, without waiting and without changing it for them.
import { fstatSync, writeSync } from 'node:fs';

/** How many bytes were taken. Throws EAGAIN, as its `code` or `errno`, where it would have to wait. */
export type Writer = (fd: number, bytes: Buffer) => number;

const NOT_YET = Object.assign(new Error('not loaded yet'), { code: 'EAGAIN' });

/**
 * Pipes, terminals and files come as descriptors that do not wait (the supervisor's held-stdout.ts); a socket, which a service manager's journal
 * or another Node process gives, can only be asked not to wait each time. `loadSend` is called for a socket only.
 */
export function stdoutWriter(fd: number, loadSend: () => Promise<Writer>): Writer {
  let write: Writer = writeSync;
  if (isSocket(fd)) {
    write = () => {
      throw NOT_YET;
    };
    void loadSend().then(
      (send) => {
        write = send;
      },
      (error: unknown) => {
        write = () => {
          throw error;
        };
      },
    );
  }
  return (to, bytes) => write(to, bytes);
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}
