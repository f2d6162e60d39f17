// What the tests of net-svc share: iproute2's view of the kernel, and watchers that prove that nothing was changed.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Lease, Pool } from '../../shared/schema/network.ts';

/** Empty: where the test itself runs. Otherwise the path of a namespace. */
type Netns = string;

const inside = (netns: Netns, command: readonly string[]): string[] =>
  netns === '' ? [...command] : ['nsenter', `--net=${netns}`, ...command];

/** stdout; throws with stderr for anything but exit code 0. */
export function run(command: readonly string[], netns: Netns = ''): string {
  const [file = '', ...args] = inside(netns, command);
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
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

export function defaultRoutes(netns: Netns = ''): { gateway: string; dev: string }[] {
  const found: { gateway: string; dev: string }[] = JSON.parse(run(['ip', '-j', 'route', 'show', 'default'], netns));
  return found.map(({ gateway, dev }) => ({ gateway, dev }));
}

export function pings(address: string, netns: Netns): boolean {
  try {
    run(['busybox', 'ping', '-c', '1', '-W', '1', address], netns);
    return true;
  } catch {
    return false;
  }
}

export interface Watcher {
  /** All that changed since the watcher was made, one line each. Ends the watcher. */
  changes(): Promise<string[]>;
}

/** Watches with a monitor program; `mark` makes a change, and takes it back, that can be told by the word in it. */
async function watch(
  command: readonly string[],
  words: { readonly start: string; readonly end: string },
  mark: (word: string) => void,
): Promise<Watcher> {
  const [file = '', ...args] = command;
  const monitor = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let seen = '';
  monitor.stdout.on('data', (chunk: Buffer) => {
    seen += String(chunk);
  });
  // It listens from some moment on that it does not tell: mark until one is seen.
  const timer = setInterval(() => mark(words.start), 20);
  while (!seen.includes(words.start)) await once(monitor.stdout, 'data');
  clearInterval(timer);
  return {
    changes: async () => {
      mark(words.end);
      while (!seen.includes(words.end)) await once(monitor.stdout, 'data');
      monitor.kill('SIGKILL');
      await once(monitor, 'close');
      const own = (line: string): boolean => line.includes(words.start) || line.includes(words.end);
      return seen.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#') && !own(line));
    },
  };
}

/** Links, IPv4 addresses and IPv4 routes of a namespace. */
export function watchNetwork(netns: Netns = ''): Promise<Watcher> {
  const words = { start: '198.18.254.1', end: '198.18.254.2' };
  return watch(inside(netns, ['ip', '-o', '-4', 'monitor', 'link', 'address', 'route']), words, (word) => {
    run(['ip', 'route', 'add', 'blackhole', word], netns);
    run(['ip', 'route', 'del', 'blackhole', word], netns);
  });
}

/** All of nftables. */
export function watchRules(): Promise<Watcher> {
  return watch(['nft', 'monitor'], { start: 'watch_start', end: 'watch_end' }, (word) => {
    run(['nft', 'add', 'table', 'ip', word]);
    run(['nft', 'delete', 'table', 'ip', word]);
  });
}

/** The state of links settles after a change (RFC 2863 operational state): wait until all ports are up. */
export function settle(netns: Netns = ''): void {
  const deadline = Date.now() + 5_000;
  while (links(netns).some(({ operstate, ifname }) => operstate !== 'UP' && ifname !== 'lo')) {
    if (Date.now() > deadline) throw new Error(`links do not come up: ${run(['ip', 'link'], netns)}`);
  }
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
