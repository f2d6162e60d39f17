// Every container's sockets: which there are, where they lie, and which service is told of them when they open and close.
//
// <rundir>/ctl                           root's alone
//             /<container>/pv-ctrl       ctl-svc, HTTP
//                         /dev-log       log-svc, syslog datagrams: the container's /dev/log
//                         /pv-ctrl-log   log-svc, datagrams
//                         /pv-fd-log     log-svc, descriptors to read from
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LogSockets } from './contract.ts';
import { type BankSocket, type ContainerRow, createSocketBank, type SocketBank } from './socket-bank.ts';

export interface ControlSocket {
  readonly container: string;
  /** ctl-svc's descriptor, not ours. */
  readonly fd: number;
}

export interface ContainerSocketsListener {
  controlOpened(socket: ControlSocket): void;
  logOpened(sockets: LogSockets): void;
  closed(container: string): void;
  /** That service must start anew, with the larger bank in its hands; it asks for the list of sockets then. */
  usedUp(service: 'ctl-svc' | 'log-svc'): void;
}

export interface ContainerSockets {
  readonly control: SocketBank;
  readonly log: SocketBank;
  /** Throws KernelError when they cannot be made. */
  open(container: string): void;
  close(container: string): void;
  controlSockets(): readonly ControlSocket[];
  logSockets(): readonly LogSockets[];
  folderOf(container: string): string;
  listen(listener: ContainerSocketsListener): void;
}

/** `folder`: <rundir>/ctl. `firstFds`: the number under which each service inherits the first of its bank. */
export function createContainerSockets(
  folder: string,
  firstFds: { readonly control: number; readonly log: number },
): ContainerSockets {
  closeToOthers(folder);
  const folderOf = (container: string): string => join(folder, container);
  const named = (name: string, kind: BankSocket['kind']): BankSocket => ({
    kind,
    pathOf: (container) => join(folderOf(container), name),
  });
  const control = createSocketBank([named('pv-ctrl', 'stream')], firstFds.control);
  // In the order of logSocketsOf.
  const log = createSocketBank(
    [
      named('dev-log', 'datagram'),
      named('pv-ctrl-log', 'datagram'),
      { ...named('pv-fd-log', 'stream'), takesDescriptors: true },
    ],
    firstFds.log,
  );
  let listener: ContainerSocketsListener | undefined;

  const openIn = (bank: SocketBank, service: 'ctl-svc' | 'log-svc', container: string): ContainerRow | undefined => {
    const opened = bank.open(container);
    if (opened !== undefined) return opened.isNew ? opened.row : undefined;
    bank.renew();
    bank.open(container);
    listener?.usedUp(service);
    return undefined;
  };
  return {
    control,
    log,
    open(container) {
      const forLog = openIn(log, 'log-svc', container);
      if (forLog !== undefined) listener?.logOpened(logSocketsOf(forLog));
      const forControl = openIn(control, 'ctl-svc', container);
      if (forControl !== undefined) listener?.controlOpened(controlSocketOf(forControl));
    },
    close(container) {
      const closed = [control.close(container), log.close(container)];
      if (closed.includes(true)) listener?.closed(container);
    },
    controlSockets: () => control.list().map(controlSocketOf),
    logSockets: () => log.list().map(logSocketsOf),
    folderOf,
    listen(to) {
      listener = to;
    },
  };
}

function controlSocketOf({ container, fds: [fd = -1] }: ContainerRow): ControlSocket {
  return { container, fd };
}

function logSocketsOf({ container, fds: [devLog = -1, ctrlLog = -1, fdLog = -1] }: ContainerRow): LogSockets {
  return { container, devLog, ctrlLog, fdLog };
}

/**
 * Whoever gets to a container's socket is that container, whichever role it has, and users inside one must get to its own. So nobody but
 * root gets to their folder: containers have theirs mounted, and services inherit the sockets.
 */
function closeToOthers(folder: string): void {
  mkdirSync(folder, { recursive: true });
  // A build before this one left it open.
  chmodSync(folder, 0o700);
}
