// Which listening sockets are served, and as whom: the host's, and one per container as the supervisor opens and closes them.
import type { Server } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { supervisorContract } from '../supervisor/contract.ts';
import { createFairTurns } from './fair-turns.ts';
import {
  CONTAINER_LIMITS,
  CONTAINER_TURNS,
  type ControlServer,
  type ControlSocket,
  HOST_LIMITS,
} from './http-server.ts';

const RETRY_MS = 200;

export interface ControlSockets {
  readonly stop: () => void;
}

interface OpenedSocket {
  readonly container: string;
  readonly fd: number;
}

/**
 * The socket of a container, by its descriptor of the supervisor's bank. That is never given back while this process lives: its number would go
 * to some client's connection, and a container that opens its socket again would be answered there.
 */
interface Slot {
  readonly container: string;
  readonly socket: ControlSocket;
}

/** Returns once the host's socket is served; those of containers follow as soon as the supervisor names them. */
export async function serveControlSockets(
  channel: Channel,
  hostFd: number,
  control: ControlServer,
  log: Logger,
): Promise<ControlSockets> {
  const supervisor = channel.client(supervisorContract);
  const stopped = new AbortController();
  const turns = createFairTurns(CONTAINER_TURNS);
  const slots = new Map<number, Slot>();
  /** Containers that an event spoke of while the list was on its way: the event is right about them. */
  let spokenOf = new Set<string>();
  let loading = Promise.resolve();

  const close = (container: string): void => {
    for (const slot of slots.values()) {
      if (slot.container !== container || !slot.socket.isOpen) continue;
      slot.socket.isOpen = false;
      control.closeConnections(slot.socket);
      log.debug(`closed control socket of container '${container}'`);
    }
  };
  const open = ({ container, fd }: OpenedSocket): void => {
    const present = slots.get(fd);
    if (present?.container === container) {
      present.socket.isOpen = true;
      return;
    }
    if (present !== undefined || fd === hostFd) {
      // Whose requests would they be? Nobody's.
      log.error(`control socket of '${container}' refused: fd ${fd} is that of '${present?.container ?? 'the host'}'`);
      return;
    }
    close(container);
    const socket = control.open({ kind: 'container', container }, CONTAINER_LIMITS, turns.party());
    slots.set(fd, { container, socket });
    listen(socket.server, fd).then(
      () => log.debug(`serving control socket of container '${container}'`),
      (error: unknown) => {
        slots.delete(fd);
        log.error(`cannot serve control socket of container '${container}' (fd ${fd}): ${String(error)}`);
      },
    );
  };
  const settle = (sockets: readonly OpenedSocket[]): void => {
    const named = new Set(sockets.map(({ container }) => container));
    for (const { container } of slots.values()) {
      if (!named.has(container) && !spokenOf.has(container)) close(container);
    }
    for (const socket of sockets) if (!spokenOf.has(socket.container)) open(socket);
  };
  const load = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      spokenOf = new Set();
      try {
        const answer = await supervisor.listControlSockets({}, { signal: stopped.signal });
        if (answer.ok) settle(answer.value.sockets);
        return;
      } catch (error) {
        if (stopped.signal.aborted) return;
        log.warn(`no list of control sockets: ${String(error)}; trying again in ${RETRY_MS} ms`);
      }
      await wait(RETRY_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  };
  const reload = (): void => {
    loading = loading.then(load);
  };
  channel.subscribe(supervisorContract, 'controlSocketOpened', {
    onEvent(socket) {
      spokenOf.add(socket.container);
      open(socket);
    },
    onLost: reload,
  });
  channel.subscribe(supervisorContract, 'controlSocketClosed', {
    onEvent({ container }) {
      spokenOf.add(container);
      close(container);
    },
    onLost: reload,
  });
  const host = control.open({ kind: 'host' }, HOST_LIMITS);
  await listen(host.server, hostFd);
  reload();
  return {
    stop() {
      stopped.abort();
      for (const { server } of [host, ...[...slots.values()].map(({ socket }) => socket)]) server.close();
      control.close();
    },
  };
}

function listen(server: Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, () => {
      server.off('error', reject);
      server.on('error', ignore);
      resolve();
    });
  });
}

/** Such as EMFILE on accept: that connection is lost, the socket is not. */
function ignore(): void {}
