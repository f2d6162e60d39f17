// The listening sockets of containers. ctl-svc inherits a bank of sockets that nothing is bound to yet; when a container
// needs one, it is bound here and named to ctl-svc by its number: no descriptor has to travel to a running process.
import { closeSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bindAndListen, unboundUnixSocket } from '../../shared/kernel/unix-sockets.ts';

export interface ControlSocket {
  readonly container: string;
  /** ctl-svc's descriptor, not ours. */
  readonly fd: number;
}

export interface ControlSockets {
  /** Ours, in the order in which ctl-svc must inherit them from `firstFd` on. */
  readonly fds: readonly number[];
  /** Answers the socket and whether ctl-svc has to hear of it. Undefined: the bank is used up; `renew` it and restart ctl-svc. */
  open(container: string): { readonly socket: ControlSocket; readonly isNew: boolean } | undefined;
  /** Nobody is to be served there; the socket itself is given up when ctl-svc starts anew. False when it was not open. */
  close(container: string): boolean;
  /** To be called before each start of ctl-svc: replaces what was closed, adds room when the bank is used up. */
  renew(): void;
  list(): readonly ControlSocket[];
  folderOf(container: string): string;
}

/** Sockets at first, and how many more each time they are used up. A container needs one. */
const BANK_SIZE = 32;
const BACKLOG = 64;
const CONTAINER_SOCKET_MODE = 0o666;

interface Slot {
  readonly fd: number;
  container: string | undefined;
  closed: boolean;
}

/** `folder`: <rundir>/ctl. `firstFd`: the number under which ctl-svc inherits the first one. */
export function createControlSockets(folder: string, firstFd: number): ControlSockets {
  const slots: Slot[] = [];
  const add = (): void => {
    slots.push({ fd: unboundUnixSocket(), container: undefined, closed: false });
  };
  for (let count = 0; count < BANK_SIZE; count += 1) add();
  const folderOf = (container: string): string => join(folder, container);
  const socketOf = (index: number, container: string): ControlSocket => ({ container, fd: firstFd + index });

  return {
    get fds() {
      return slots.map(({ fd }) => fd);
    },
    open(container) {
      const known = slots.findIndex((slot) => slot.container === container);
      const index = known === -1 ? slots.findIndex((slot) => slot.container === undefined) : known;
      const slot = slots[index];
      if (slot === undefined) return undefined;
      const isNew = known === -1 || slot.closed;
      slot.closed = false;
      if (known === -1) {
        // 0755: the container may look, and only the supervisor may put a socket here.
        mkdirSync(folderOf(container), { recursive: true, mode: 0o755 });
        bindAndListen(slot.fd, join(folderOf(container), 'pv-ctrl'), { mode: CONTAINER_SOCKET_MODE, backlog: BACKLOG });
        slot.container = container;
      }
      return { socket: socketOf(index, container), isNew };
    },
    close(container) {
      const slot = slots.find((candidate) => candidate.container === container);
      if (slot === undefined || slot.closed) return false;
      slot.closed = true;
      return true;
    },
    renew() {
      for (const [index, slot] of slots.entries()) {
        if (!slot.closed) continue;
        closeSync(slot.fd);
        slots[index] = { fd: unboundUnixSocket(), container: undefined, closed: false };
      }
      if (slots.every(({ container }) => container !== undefined)) for (let n = 0; n < BANK_SIZE; n += 1) add();
    },
    list: () =>
      slots.flatMap(({ container, closed }, index) =>
        container === undefined || closed ? [] : [socketOf(index, container)],
      ),
    folderOf,
  };
}
