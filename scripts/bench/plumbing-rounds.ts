// The measuring process of plumbing.ts, in a network namespace of its own: prints times as JSON.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import process from 'node:process';
import { attach } from '../../services/net-svc/attachments.ts';
import { ensureBridges } from '../../services/net-svc/bridges.ts';
import { detachAll } from '../../services/net-svc/detachments.ts';
import { createUndo } from '../../services/net-svc/net-failure.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import type { Lease, Pool } from '../../shared/schema/network.ts';

const ROUNDS = 6;
/** A round: this many of ours, then as many of the other as take about the same machine's mood. */
const OURS = 20;
const FORKED = 3;
const DIR = '/run/berth-netns';

const pool: Pool = {
  name: 'bench',
  type: 'bridge',
  bridge: 'benchbr0',
  subnet: '10.9.0.0/16',
  gateway: '10.9.0.1',
  nat: false,
};

function leaseOf(number: number): Lease {
  const [high, low] = [number >> 8, number & 255];
  const hex = (octet: number): string => octet.toString(16).padStart(2, '0');
  return {
    pool: pool.name,
    container: `bench-${number}`,
    interface: 'eth0',
    address: `10.9.${high}.${low}`,
    prefixLength: 16,
    gateway: pool.gateway,
    bridge: pool.bridge,
    mac: `02:00:0a:09:${hex(high)}:${hex(low)}`,
  };
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

/** What attach does, as one would type it. */
function plumbForked(number: number): void {
  const { address, prefixLength, mac, gateway } = leaseOf(number);
  const netns = `forked-${number}`;
  const [outside, inside] = [`fh${number}`, `fp${number}`];
  ip('netns', 'add', netns);
  ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
  ip('link', 'set', outside, 'master', pool.bridge, 'up');
  ip('link', 'set', inside, 'netns', netns);
  ip('-n', netns, 'link', 'set', inside, 'name', 'eth0');
  ip('-n', netns, 'link', 'set', 'eth0', 'address', mac);
  ip('-n', netns, 'link', 'set', 'lo', 'up');
  ip('-n', netns, 'addr', 'add', `${address}/${prefixLength}`, 'dev', 'eth0');
  ip('-n', netns, 'link', 'set', 'eth0', 'up');
  ip('-n', netns, 'route', 'add', 'default', 'via', gateway);
}

function timed(act: () => void): number {
  const start = process.hrtime.bigint();
  act();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

mkdirSync(DIR);
const namespaces = openNamespaces(DIR);
ensureBridges([pool], createUndo());
const times: Record<'attach' | 'forked' | 'again' | 'detach', number[]> = {
  attach: [],
  forked: [],
  again: [],
  detach: [],
};
let number = 2;
for (let round = 0; round < ROUNDS; round++) {
  const leases = Array.from({ length: OURS }, () => leaseOf(number++));
  for (const lease of leases) times.attach.push(timed(() => attach(namespaces, lease.container, [lease])));
  for (const lease of leases) times.again.push(timed(() => attach(namespaces, lease.container, [lease])));
  for (let i = 0; i < FORKED; i++) {
    const forked = number++;
    times.forked.push(timed(() => plumbForked(forked)));
    ip('link', 'del', `fh${forked}`);
    ip('netns', 'del', `forked-${forked}`);
  }
  const together = timed(() =>
    detachAll(
      namespaces,
      leases.map(({ container }) => container),
    ),
  );
  times.detach.push(together / OURS);
}
process.stdout.write(JSON.stringify(times));
