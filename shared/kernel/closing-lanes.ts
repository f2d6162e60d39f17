// Closes descriptors that come from containers, on threads. What comes in: a descriptor and whose it is; nothing comes out.
//
// To close a descriptor of another's can take as long as that one likes: its connection lingers (SO_LINGER, socket(7)), its file system
// answers late, or it is a socket in whose queue such descriptors are. The main thread would stand still for everybody, and so would
// all threads of the pool, of which one waits for what there is to read (epoll.ts).
import { close } from 'node:fs';

export interface ClosingLanes {
  /** Returns at once; the number must not be used any more. */
  close(fd: number, container: string): void;
  /** Too many of its descriptors wait to be closed: nothing that may bring more is to be read from it. */
  isFull(container: string): boolean;
}

/** Of libuv's four threads. A container holds one at most, so that the closings of others go on beside it. */
const LANES = 2;
/** Of one container; one message can bring 253 more. */
export const MAX_WAITING = 32;

export function createClosingLanes(): ClosingLanes {
  /** By container; the first of each is being closed if the container is among `busy`. */
  const waiting = new Map<string, number[]>();
  const busy = new Set<string>();

  const begin = (): void => {
    for (const [container, [fd]] of waiting) {
      if (busy.size >= LANES) return;
      if (fd === undefined || busy.has(container)) continue;
      busy.add(container);
      // EIO and its like: it is closed all the same (close(2)).
      close(fd, () => finish(container));
    }
  };
  const finish = (container: string): void => {
    busy.delete(container);
    const rest = waiting.get(container)?.slice(1) ?? [];
    // To the end of the line, behind those who had to wait for it.
    waiting.delete(container);
    if (rest.length > 0) waiting.set(container, rest);
    begin();
  };
  return {
    close(fd, container) {
      const known = waiting.get(container);
      if (known === undefined) waiting.set(container, [fd]);
      else known.push(fd);
      begin();
    },
    isFull: (container) => (waiting.get(container)?.length ?? 0) >= MAX_WAITING,
  };
}
