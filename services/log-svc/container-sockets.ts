// Source: the sockets of containers. Each is read for the container that it belongs to, whatever is said through it.

import { createClosingLanes } from '../../shared/kernel/closing-lanes.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { readDatagrams } from './datagram-reader.ts';
import { createDescriptorIntake, type DescriptorIntake } from './descriptor-intake.ts';
import type { LogSource } from './log-flow.ts';
import type { Limits } from './message-budget.ts';
import { createMessageKeeper } from './message-keeper.ts';
import { createReadingTurns } from './reading-turns.ts';
import type { SocketKernel } from './socket-watch.ts';

/** Inherited, not to be closed: their numbers belong to the supervisor's bank. */
export interface SocketsOfContainer {
  readonly container: string;
  readonly datagramFds: readonly number[];
  /** Listening; who connects hands over a descriptor to read from. */
  readonly intakeFd: number | undefined;
}

export interface ContainerSockets extends LogSource {
  /** Also called again for what is open already. */
  open(sockets: SocketsOfContainer): void;
  /** Nobody will send any more: reads the rest and lets go. */
  close(container: string): void;
  containers(): readonly string[];
}

export interface ContainerSocketsOptions {
  readonly acceptedPath: string;
  /** Loaded when the first socket is open: native code costs memory that a machine without containers has no use for. */
  readonly loadKernel: () => Promise<SocketKernel>;
  readonly limits?: Limits;
}

interface Open {
  readonly sockets: SocketsOfContainer;
  /** Of those who have connected; most containers have nobody who does. */
  intake: DescriptorIntake | undefined;
}

export function createContainerSockets(options: ContainerSocketsOptions): ContainerSockets {
  const keeper = createMessageKeeper(options.acceptedPath, options.limits);
  const turns = createReadingTurns();
  const lanes = createClosingLanes();
  const opened = new Map<string, Open>();
  let kernel: SocketKernel | undefined;
  let phase: 'waiting' | 'started' | 'stopped' = 'waiting';
  let isLoading = false;
  const troubles = new Map<string, string>();

  const listen = (one: Open, from: SocketKernel): void => {
    try {
      addTurns(one, from);
    } catch (error) {
      // Such as a descriptor that cannot be waited for: no sockets of this container, and a reason in health.
      troubles.set(one.sockets.container, String(error));
    }
  };
  const addTurns = (one: Open, from: SocketKernel): void => {
    const { container, datagramFds, intakeFd } = one.sockets;
    const rest = {
      isPaced: () => keeper.isOverBudget(container) || lanes.isFull(container),
      // What fails is one container's; the others are read on.
      onTrouble: (error: unknown) => troubles.set(container, String(error)),
    };
    for (const fd of datagramFds) {
      const read = readDatagrams(fd, container, { kernel: from, lanes });
      turns.add(fd, { read: () => keeper.turn(container, read), ...rest });
    }
    if (intakeFd === undefined) return;
    const greet = (): boolean => {
      one.intake ??= createDescriptorIntake(intakeFd, container, { keeper, turns, kernel: from, lanes, rest });
      return one.intake.greet();
    };
    // Always: nobody needs to be heard sooner, and whoever connects and hangs up again and again costs next to nothing.
    turns.add(intakeFd, { ...rest, read: greet, isPaced: () => true });
  };
  const load = (): void => {
    if (isLoading) return;
    isLoading = true;
    options.loadKernel().then(
      (loaded) => {
        if (phase === 'stopped') return;
        kernel = loaded;
        turns.start(loaded);
        for (const one of opened.values()) listen(one, loaded);
      },
      (error: unknown) => {
        troubles.set('every container', String(error));
      },
    );
  };
  const letGo = (one: Open): void => {
    const { datagramFds, intakeFd } = one.sockets;
    const fds = intakeFd === undefined ? datagramFds : [...datagramFds, intakeFd];
    for (const fd of fds) turns.readRest(fd);
    one.intake?.close();
    for (const fd of fds) turns.remove(fd);
  };

  return {
    start(sink) {
      phase = 'started';
      keeper.start(sink);
      if (opened.size > 0) load();
    },
    open(sockets) {
      const known = opened.get(sockets.container);
      if (known !== undefined) {
        if (isSame(known.sockets, sockets)) return;
        letGo(known);
      }
      const one: Open = { sockets, intake: undefined };
      opened.set(sockets.container, one);
      if (kernel !== undefined) listen(one, kernel);
      else if (phase === 'started') load();
    },
    close(container) {
      const one = opened.get(container);
      if (one === undefined) return;
      letGo(one);
      opened.delete(container);
      troubles.delete(container);
      keeper.forget(container);
    },
    containers: () => [...opened.keys()],
    stop() {
      phase = 'stopped';
      for (const one of opened.values()) letGo(one);
      opened.clear();
      turns.stop();
      keeper.stop();
    },
    troubles: () => [...troubles].map(([container, why]) => unreadable(container, why)),
  };
}

function unreadable(container: string, why: string): HealthReason {
  const message = `what ${container} sends to its log sockets may be missing: ${why}`;
  return { code: 'LOG_UNREADABLE', subject: container, message };
}

function isSame(one: SocketsOfContainer, other: SocketsOfContainer): boolean {
  const fds = (sockets: SocketsOfContainer): string => [...sockets.datagramFds, sockets.intakeFd].join();
  return fds(one) === fds(other);
}
