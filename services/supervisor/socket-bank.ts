// The sockets of containers. Their service inherits a bank of sockets that nothing is bound to yet; when a container needs its
// row of them, they are bound here and named to the service by number: no descriptor has to travel to a running process.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  bindAndListen,
  bindDatagram,
  refuseDescriptors,
  unboundDatagramSocket,
  unboundUnixSocket,
} from '../../shared/kernel/unix-sockets.ts';
import { closeByLastHolder } from './last-holder.ts';

/** One socket that every container has. */
export interface BankSocket {
  readonly kind: 'stream' | 'datagram';
  /** Its service wants those that are sent to it; the kernel keeps them from others where it can. */
  readonly takesDescriptors?: boolean;
  pathOf(container: string): string;
}

export interface ContainerRow {
  readonly container: string;
  /** The service's descriptors, not ours, in the order of the bank's sockets. */
  readonly fds: readonly number[];
}

export interface SocketBank {
  /** Ours, all of them. */
  readonly fds: readonly number[];
  /** To be called for each start of the service: renews the bank, and answers what is inherited from `firstFd` on, in this order. */
  inherit(): readonly number[];
  /**
   * Answers the row and whether the service has to hear of it: not of one that it did not inherit, whose numbers are something else in its
   * hands; it asks for the list when it starts anew. Undefined: the bank is used up; `renew` it and restart the service. Throws KernelError.
   */
  open(container: string): { readonly row: ContainerRow; readonly isNew: boolean } | undefined;
  /** Nobody is to be served there; the sockets themselves are given up when the service starts anew. False when they were not open. */
  close(container: string): boolean;
  /** Replaces what was closed or spoilt, adds room when the bank is nearly used up; none of that is in the service's hands before its next start. */
  renew(): void;
  list(): readonly ContainerRow[];
}

/** Rows at first. A container needs one. */
const FIRST_ROWS = 32;
/** Each time they are used up there are as many more as there were, or so many: its service starts anew for them, and each is some descriptors. */
const MAX_MORE_ROWS = 128;
/** After a renewal: a service is not started anew for every container that comes. */
const MIN_FREE_ROWS = 16;
const BACKLOG = 64;
const CONTAINER_SOCKET_MODE = 0o666;

interface Row {
  readonly fds: readonly number[];
  /** `spoilt`: bound in part, and good for nobody. */
  state: 'free' | 'open' | 'closed' | 'spoilt';
  container: string;
  isInherited: boolean;
}

/** `firstFd`: the number under which the service inherits the first one. */
export function createSocketBank(sockets: readonly BankSocket[], firstFd: number): SocketBank {
  const rows: Row[] = [];
  const freshRow = (): Row => ({ fds: sockets.map(unbound), state: 'free', container: '', isInherited: false });
  const addRows = (more: number): void => {
    for (let count = 0; count < more; count += 1) rows.push(freshRow());
  };
  addRows(FIRST_ROWS);
  const rowOf = (index: number, container: string): ContainerRow => ({
    container,
    fds: sockets.map((_socket, place) => firstFd + index * sockets.length + place),
  });
  const find = (container: string): number =>
    rows.findIndex((row) => row.container === container && (row.state === 'open' || row.state === 'closed'));
  const renew = (): void => {
    const givenUp: number[] = [];
    for (const [index, row] of rows.entries()) {
      if (row.state !== 'closed' && row.state !== 'spoilt') continue;
      givenUp.push(...row.fds);
      rows[index] = freshRow();
    }
    closeByLastHolder(givenUp);
    if (rows.filter(({ state }) => state === 'free').length < MIN_FREE_ROWS)
      addRows(Math.min(rows.length, MAX_MORE_ROWS));
  };

  return {
    get fds() {
      return rows.flatMap(({ fds }) => fds);
    },
    open(container) {
      const known = find(container);
      const index = known === -1 ? rows.findIndex(({ state }) => state === 'free') : known;
      const row = rows[index];
      if (row === undefined) return undefined;
      const isNew = row.state !== 'open' && row.isInherited;
      if (row.state === 'free') bindRow(row, sockets, container);
      row.state = 'open';
      return { row: rowOf(index, container), isNew };
    },
    close(container) {
      const row = rows[find(container)];
      if (row?.state !== 'open') return false;
      row.state = 'closed';
      return true;
    },
    inherit() {
      renew();
      for (const row of rows) row.isInherited = true;
      return rows.flatMap(({ fds }) => fds);
    },
    renew,
    list: () => rows.flatMap(({ state, container }, index) => (state === 'open' ? [rowOf(index, container)] : [])),
  };
}

function unbound({ kind }: BankSocket): number {
  return kind === 'stream' ? unboundUnixSocket() : unboundDatagramSocket();
}

/** A socket can be bound once: after a failure the row is spoilt. */
function bindRow(row: Row, sockets: readonly BankSocket[], container: string): void {
  row.state = 'spoilt';
  let made = '';
  for (const [place, { kind, takesDescriptors, pathOf }] of sockets.entries()) {
    const path = pathOf(container);
    const fd = row.fds[place] ?? -1;
    const folder = dirname(path);
    // 0755: the container may look, and only the supervisor may put a socket here.
    if (folder !== made) mkdirSync(folder, { recursive: true, mode: 0o755 });
    made = folder;
    if (takesDescriptors !== true) refuseDescriptors(fd);
    if (kind === 'stream') bindAndListen(fd, path, { mode: CONTAINER_SOCKET_MODE, backlog: BACKLOG });
    else bindDatagram(fd, path, CONTAINER_SOCKET_MODE);
  }
  row.container = container;
}
