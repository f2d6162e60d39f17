// Where LXC's monitors are on the network. A monitor's command socket is abstract, so it belongs to a network namespace, and it obeys every
// uid 0 in there: a container on the host's network would command the monitors of all others, and take their names. So monitors are in a
// namespace where nobody else is, and a file leads the containers from there to the host's network.
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
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

  return {
    own() {
      fd ??= open();
      return fd;
    },
    openHost() {
      if (isSame(host, OWN_NETWORK)) return;
      mkdirSync(networksPath(places), { recursive: true, mode: 0o700 });
      removeNamespace(host);
      bindNamespace(OWN_NETWORK, host);
    },
    close() {
      for (const path of [own, host]) removeNamespace(path);
    },
  };
}

function isSame(path: string, other: string): boolean {
  const [one, two] = [statSync(path, { throwIfNoEntry: false }), statSync(other)];
  return one?.ino === two.ino && one.dev === two.dev;
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
