// What the tests of net-svc share: iproute2's view of the kernel.
import { execFileSync } from 'node:child_process';
import type { Lease, Pool } from '../../shared/schema/network.ts';

/** Empty: where the test itself runs. Otherwise the path of a namespace. */
export type Netns = string;

export const inside = (netns: Netns, command: readonly string[]): string[] =>
  netns === '' ? [...command] : ['nsenter', `--net=${netns}`, ...command];

const LIMIT_MS = 60_000;

/** stdout; throws with stderr for anything but exit code 0, and where it does not end. */
export function run(command: readonly string[], netns: Netns = ''): string {
  const [file = '', ...args] = inside(netns, command);
  return execFileSync(file, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
}

export interface IpLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly address: string;
  readonly operstate: string;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly ifalias?: string;
}

export function links(netns: Netns = ''): IpLink[] {
  return JSON.parse(run(['ip', '-j', 'link'], netns));
}

export function link(name: string, netns: Netns = ''): IpLink | undefined {
  return links(netns).find(({ ifname }) => ifname === name);
}

/** `10.0.5.2/24` … of one link; none of one that is not there, or not yet. */
export function addresses(name: string, netns: Netns = ''): string[] {
  const found: { ifname?: string; addr_info?: { local: string; prefixlen: number }[] }[] = JSON.parse(
    run(['ip', '-j', '-4', 'addr', 'show'], netns),
  );
  const its = found.filter(({ ifname }) => ifname === name);
  return its.flatMap(({ addr_info = [] }) => addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`));
}

export function ipv6Addresses(name: string): string[] {
  const found: { addr_info?: { local: string }[] }[] = JSON.parse(run(['ip', '-j', '-6', 'addr', 'show', 'dev', name]));
  return found.flatMap(({ addr_info = [] }) => addr_info.map(({ local }) => local));
}

export function defaultRoutes(netns: Netns = ''): { gateway: string; dev: string }[] {
  const found: { gateway: string; dev: string }[] = JSON.parse(run(['ip', '-j', 'route', 'show', 'default'], netns));
  return found.map(({ gateway, dev }) => ({ gateway, dev }));
}

/** One packet, and a second for its answer. */
export function pings(address: string, netns: Netns): boolean {
  try {
    run(['busybox', 'ping', '-c', '1', '-W', '1', address], netns);
    return true;
  } catch {
    return false;
  }
}

/**
 * Some packet is answered. The kernel opens a new link's queue some time after its carrier is there (net/core/link_watch.c): the first
 * one may be lost.
 */
export function reaches(address: string, netns: Netns): boolean {
  for (let tries = 0; tries < 20; tries += 1) if (pings(address, netns)) return true;
  return false;
}

export const internal: Pool = {
  name: 'internal',
  type: 'bridge',
  bridge: 'pvbr0',
  subnet: '10.0.5.0/24',
  gateway: '10.0.5.1',
  nat: true,
};
export const lab: Pool = {
  name: 'lab',
  type: 'bridge',
  bridge: 'pvbr1',
  subnet: '10.0.6.0/24',
  gateway: '10.0.6.1',
  nat: false,
};

/** On the link that `makeUplink` makes. */
export const lan: Pool = {
  name: 'lan',
  type: 'macvlan',
  bridge: 'uplink',
  subnet: '192.0.2.0/24',
  gateway: '192.0.2.1',
  nat: false,
};

/** A link to a network that has a router of its own: the namespace `router` at the other end of a veth. */
export function makeUplink(): void {
  run(['ip', 'netns', 'add', 'router']);
  run(['ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'lan0', 'netns', 'router']);
  run(['ip', 'link', 'set', 'uplink', 'up']);
  run(['ip', '-n', 'router', 'addr', 'add', '192.0.2.1/24', 'dev', 'lan0']);
  run(['ip', '-n', 'router', 'link', 'set', 'lan0', 'up']);
}

/** The lease of the pool's host number `host` (1–254). */
export function leaseOf(pool: Pool, container: string, host: number, containerInterface = 'eth0'): Lease {
  const address = pool.gateway.replace(/\d+$/, String(host));
  const mac = `02:00:${address
    .split('.')
    .map((octet) => Number(octet).toString(16).padStart(2, '0'))
    .join(':')}`;
  const { name, bridge, gateway } = pool;
  return { pool: name, container, interface: containerInterface, address, prefixLength: 24, gateway, bridge, mac };
}
