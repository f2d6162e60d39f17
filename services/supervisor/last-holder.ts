// Closes sockets of containers, whatever is in their queues. What comes in: descriptors; nothing comes out.
//
// What nobody read may have descriptors with it, and to close one of those can take as long as its sender likes: its connection lingers
// (SO_LINGER, socket(7)). A thread that waits for that would keep this process from ending, and enough of them from all else. The kernel does
// not linger for a process that ends, so one that does nothing else is the last to have them.
import { type ChildProcess, spawn } from 'node:child_process';
import { close, closeSync } from 'node:fs';

/** Returns at once; the numbers must not be used any more. */
export function closeByLastHolder(fds: readonly number[]): void {
  if (fds.length === 0) return;
  const holder = startHolder(fds);
  for (const fd of fds) {
    // EIO and its like: it is closed all the same (close(2)).
    if (holder === undefined) close(fd, () => undefined);
    else closeSync(fd);
  }
  holder?.stdin?.destroy();
}

/** Ends with its stdin, also when this process is killed. Undefined where no process can be started: a thread has to do then. */
function startHolder(fds: readonly number[]): ChildProcess | undefined {
  try {
    // A session of its own: Ctrl-C must not end it while it is not the last.
    const holder = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore', ...fds], cwd: '/', detached: true });
    holder.on('error', () => undefined);
    holder.unref();
    return holder.pid === undefined ? undefined : holder;
  } catch {
    return undefined;
  }
}
