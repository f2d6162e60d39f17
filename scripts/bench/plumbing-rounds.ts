// The measuring process of plumbing.ts, in a network namespace of its own: prints times as JSON.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import process from 'node:process';
import { attach } from '../../services/net-svc/attachments.ts';
import { detachAll } from '../../services/net-svc/detachments.ts';
import { createForwardPassage } from '../../services/net-svc/forward-passage.ts';
import { createHostNetwork } from '../../services/net-svc/host-network.ts';
import { ALL_AREAS } from '../../services/net-svc/kernel-watch.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { nftables } from '../../services/net-svc/nat-command.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { repairOnce } from '../../services/net-svc/repair-pass.ts';
import { RULES_RETRY_MS } from '../../services/net-svc/rules-retry.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import type { Lease, Pool } from '../../shared/schema/network.ts';

const ROUNDS = 6;
/** A round: this many of ours, then as many of the other as take about the same machine's mood. */
const OURS = 20;
const FORKED = 3;
const MANY = 200;
const MANY_ROUNDS = 2;
const PASSES = 6;
const DIR = '/run/berth-netns';

const pool: Pool = {
  name: 'bench',
  type: 'bridge',
  bridge: 'benchbr0',
  subnet: '10.9.0.0/16',
  gateway: '10.9.0.1',
  nat: true,
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
const nat = createNat([nftables], [nftables], `${DIR}/.nat`);
const nothing = (): undefined => undefined;
const host = createHostNetwork({
  nat,
  log: silentLogger,
  overlaps: { inTheWay: () => [], look: nothing, reasons: () => [] },
  awaited: { look: nothing },
  passage: createForwardPassage(`${DIR}/.forward`),
  notes: {
    lent: { list: () => [], add: nothing, drop: nothing },
    others: { has: () => false, add: nothing, keep: nothing },
    marked: { lostBy: nothing, keep: nothing, drop: nothing },
  },
  retryMs: RULES_RETRY_MS,
});
const senders = {
  ensure: async () => nothing(),
  learnNames: nothing,
  admit: async () => nothing(),
  forget: async () => nothing(),
};
const times = {
  attach: [] as number[],
  forked: [] as number[],
  again: [] as number[],
  detach: [] as number[],
  detach1: [] as number[],
  attach200: [] as number[],
  detach200: [] as number[],
  reconcile200: [] as number[],
  reconcileLinks200: [] as number[],
};
let number = 2;
const take = (count: number): Lease[] => Array.from({ length: count }, () => leaseOf(number++));
const namesOf = (leases: readonly Lease[]): string[] => leases.map(({ container }) => container);

function few(): void {
  const leases = take(OURS);
  for (const lease of leases) times.attach.push(timed(() => attach(namespaces, lease.container, [lease])));
  for (const lease of leases) times.again.push(timed(() => attach(namespaces, lease.container, [lease])));
  for (let i = 0; i < FORKED; i++) {
    const forked = number++;
    times.forked.push(timed(() => plumbForked(forked)));
    ip('link', 'del', `fh${forked}`);
    ip('netns', 'del', `forked-${forked}`);
  }
  const [alone, ...together] = namesOf(leases);
  times.detach1.push(timed(() => detachAll(namespaces, alone === undefined ? [] : [alone])));
  times.detach.push(timed(() => detachAll(namespaces, together)) / together.length);
}

async function many(): Promise<void> {
  const leases = take(MANY);
  const desired = { isMacvlan: () => false, attachments: new Map(leases.map((lease) => [lease.container, [lease]])) };
  for (const lease of leases) times.attach200.push(timed(() => attach(namespaces, lease.container, [lease])));
  for (let pass = 0; pass < PASSES; pass++) {
    const context = { namespaces, host, desired, senders };
    times.reconcile200.push(await timedPass(() => repairOnce(context, new Set(ALL_AREAS))));
    times.reconcileLinks200.push(await timedPass(() => repairOnce(context, new Set(['links'] as const))));
  }
  times.detach200.push(timed(() => detachAll(namespaces, namesOf(leases))) / MANY);
}

async function timedPass(act: () => ReturnType<typeof repairOnce>): Promise<number> {
  const start = process.hrtime.bigint();
  const { repaired, failures } = await act();
  const elapsed = Number(process.hrtime.bigint() - start) / 1e6;
  const found = [...repaired, ...failures].map(({ what }) => String(what));
  if (found.length > 0) throw new Error(`not clean: ${found.join()}`);
  return elapsed;
}

async function measure(): Promise<void> {
  await host.configure([pool]);
  for (let round = 0; round < ROUNDS; round++) few();
  for (let round = 0; round < MANY_ROUNDS; round++) await many();
  process.stdout.write(JSON.stringify(times));
}

void measure();
