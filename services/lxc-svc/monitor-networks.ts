// Where LXC's monitors are on the network. A monitor's command socket is abstract, so it belongs to a network namespace, and it obeys every
// uid 0 in there: a container on the host's network would command the monitors of all others, and take their names. So monitors are in a
// namespace where nobody else is, and a file leads the containers from there to the host's network.
import { closeSync, fstatSync, mkdirSync, openSync, type Stats, statSync } from 'node:fs';
import {
  bindNamespace,
  createNamespace,
  isNamespace,
  OWN_NETWORK,
  removeNamespace,
  withinNamespace,
} from '../../shared/kernel/network-namespace.ts';
import { hostNetwork, monitorNetwork, networksPath, type Places } from './places.ts';

export interface MonitorNetworks {
  /** A descriptor of the one that monitors have for themselves, not the caller's to close. Throws KernelError or Node's system errors. */
  own(): number;
  /** Makes the file that leads to the host's, where there is none any more. Throws likewise. */
  openHost(): void;
  /** Which of the two a file leads to from where the caller is; undefined: another, or none. Throws as `own`. */
  reachedBy(path: string): 'host' | 'monitors' | undefined;
  /** Monitors that are still there keep theirs. */
  close(): void;
}

export function createMonitorNetworks(places: Places): MonitorNetworks {
  const [own, host] = [monitorNetwork(places), hostNetwork(places)];
  let fd: number | undefined;

  const open = (): number => {
    mkdirSync(networksPath(places), { recursive: true, mode: 0o700 });
    // Of a service before, with the monitors that it started.
    if (!isNamespace(own)) createNamespace(own);
    return openSync(own, 'r');
  };

  const opened = (): number => {
    fd ??= open();
    return fd;
  };

  return {
    own: opened,
    openHost() {
      if (isOne(statOf(host), statSync(OWN_NETWORK))) return;
      mkdirSync(networksPath(places), { recursive: true, mode: 0o700 });
      removeNamespace(host);
      bindNamespace(OWN_NETWORK, host);
    },
    reachedBy(path) {
      const reached = statOf(path);
      if (isOne(reached, statSync(OWN_NETWORK))) return 'host';
      return isOne(reached, fstatSync(opened())) ? 'monitors' : undefined;
    },
    close() {
      for (const path of [own, host]) removeNamespace(path);
    },
  };
}

function isOne(one: Stats | undefined, two: Stats): boolean {
  return one?.ino === two.ino && one.dev === two.dev;
}

/** Undefined: it leads nowhere. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Runs `act`, which must not wait for anything, where a monitor is, as builds before this one had them elsewhere. Undefined: it is gone. */
export function withMonitor<T>(monitor: number, act: () => T): T | undefined {
  let fd: number;
  try {
    fd = openSync(`/proc/${monitor}/ns/net`, 'r');
  } catch {
    return undefined;
  }
  try {
    return withinNamespace(fd, act);
  } finally {
    closeSync(fd);
  }
}
