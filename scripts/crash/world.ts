// The tree that cases are played on: five containers, and states of it that differ in one of them each.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { type BootState, bootState } from '../../services/state-svc/boot-state.ts';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import type { ContainerRow } from '../../shared/schema/api.ts';
import { containerRows, get, leaseRows, serviceRows } from '../../test/kit/api.ts';
import { eventually } from '../../test/kit/eventually.ts';
import { installRevision, putBytes, type SourceContainer, STAYS, writeSource } from '../../test/kit/step.ts';
import { openTree, packExample, type Tree } from '../../test/kit/tree.ts';

/** Nobody touches these two, but for the end of the tree: pings go from the one to the other. */
export const STEADY = ['steady', 'steadier'] as const;
/** Started, stopped, updated. */
export const ACTED = 'acted';
export const TALKER = 'talker';
/** An update of it takes a reboot. */
const CORE = 'core';

/** Milliseconds. Generous: these machines are slow and shared, and what it took is a figure, not a condition. */
export const PATIENCE_MS = 60_000;
const OPTIONS = [
  '--set',
  'PV_UPDATER_COMMIT_DELAY=1',
  '--set',
  'PV_UPDATER_GOALS_TIMEOUT=30',
  '--set',
  'PV_STORAGE_GC_RESERVED=0',
];
const DEVICE = {
  network: { pools: { internal: { bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true } } },
};
const POOLED: SourceContainer = { args: { PV_NETWORK_POOL: 'internal' } };

/** A state has one of two ACTED (the first bit of its number) and one of two CORE (the second). */
const STATES = 4;
export type Change = 'acted' | 'core';

export type Leases = z.output<typeof leaseRows>;

export interface World {
  readonly tree: Tree;
  start(): void;
  rows(): Promise<readonly ContainerRow[]>;
  pids(): Promise<Readonly<Record<string, number | null>>>;
  leases(): Promise<Leases>;
  boot(): BootState;
  running(): string;
  /** Of a service that is ready; undefined: it is not, or nobody says so. */
  pidOf(service: string): Promise<number | undefined>;
  /** Puts a new revision `locals/<name>`, which differs from the one that runs in this one container; answers its whole name. */
  putOther(name: string, change: Change): Promise<string>;
  /** Resolves when every service is ready, every container where it should be, and no update under way. */
  settled(gone: readonly number[]): Promise<readonly ContainerRow[]>;
  /** The ends of what the tree has said. */
  evidence(): Promise<string>;
  close(): Promise<void>;
}

const EVIDENCE_LINES = 40;
const anything = z.unknown();

export async function openWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-crash-'));
  let tree: Tree | undefined;
  try {
    tree = await openTree(packExample(sourceOf(folder, 0)));
    tree.start(OPTIONS);
    await tree.up();
    const states = [stateIn(tree, '0')];
    for (let index = 1; index < STATES; index += 1) {
      await installRevision(tree.socket, sourceOf(folder, index), `state${index}`);
      states.push(stateIn(tree, `locals/state${index}`));
    }
    return worldOf(tree, states);
  } catch (error) {
    await tree?.close();
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sourceOf(folder: string, index: number): string {
  const containers: Record<string, SourceContainer> = {
    [CORE]: { args: { PV_GROUP: 'platform', PV_RESTART_POLICY: 'system' }, init: `# ${index >> 1}\n${STAYS}` },
    [ACTED]: { ...POOLED, init: `# ${index & 1}\n${STAYS}` },
    [TALKER]: POOLED,
    ...Object.fromEntries(STEADY.map((name) => [name, POOLED])),
  };
  return writeSource(join(folder, 'source'), containers, DEVICE);
}

const stateIn = ({ storage }: Tree, revision: string): Buffer =>
  readFileSync(join(storage, 'trails', revision, '.pvr/json'));

function worldOf(tree: Tree, states: readonly Buffer[]): World {
  /** Which state the revisions have. */
  const stateOf = new Map([['0', 0]]);
  const rows = () => get(tree.socket, '/containers', containerRows);
  const boot = () => bootState.parse(JSON.parse(readFileSync(join(tree.storage, 'boot/current.json'), 'utf8')));
  const running = (): string => {
    const { revision, updated } = boot();
    return updated?.revision ?? revision;
  };
  const isSettled = async (): Promise<readonly ContainerRow[] | undefined> => {
    const services = await get(tree.socket, '/services', serviceRows).catch(() => undefined);
    if (services?.length !== SERVICE_CONTRACTS.length || services.some(({ state }) => state !== 'ready')) return;
    if (boot().trying !== undefined) return;
    const found = await rows().catch(() => undefined);
    const isThere =
      found !== undefined &&
      found.length > 0 &&
      found.every(({ status, status_goal, user_stopped, pid }) =>
        user_stopped === 'true' ? status === 'STOPPED' : (status === status_goal || status === 'READY') && pid !== null,
      );
    return isThere === true ? found : undefined;
  };
  return {
    tree,
    start: () => tree.start(OPTIONS),
    rows,
    pids: async () => Object.fromEntries((await rows()).map(({ name, pid }) => [name, pid])),
    leases: () => get(tree.socket, '/ipam/leases', leaseRows),
    boot,
    running,
    async pidOf(service) {
      const services = await get(tree.socket, '/services', serviceRows).catch(() => []);
      return services.find(({ name, state }) => name === service && state === 'ready')?.pid;
    },
    async putOther(name, change) {
      const index = (stateOf.get(running()) ?? 0) ^ (change === 'acted' ? 1 : 2);
      const { status, body } = await putBytes(tree.socket, `/steps/locals/${name}`, states[index] ?? Buffer.alloc(0));
      if (status !== 200) throw new Error(`PUT /steps/locals/${name}: ${status} ${body}`);
      stateOf.set(`locals/${name}`, index);
      return `locals/${name}`;
    },
    settled: (gone) =>
      eventually('the tree is healthy again', PATIENCE_MS, () =>
        gone.some((pid) => tree.processes().includes(pid)) ? undefined : isSettled(),
      ),
    async evidence() {
      const asked = ['/services', '/containers', '/health'].map((path) =>
        get(tree.socket, path, anything).catch(String),
      );
      const log = tree.readLog('pantavisor/pantavisor.log').split('\n').slice(-EVIDENCE_LINES);
      const said = tree.output().split('\n').slice(-EVIDENCE_LINES);
      return [...(await Promise.all(asked)).map((answer) => JSON.stringify(answer)), ...said, ...log].join('\n');
    },
    close: () => tree.close(),
  };
}
