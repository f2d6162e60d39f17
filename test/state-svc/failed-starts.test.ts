// Starts that fail, 10,000 of them, against a real ipam-svc over the memory bus: the pool is as it was.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { createHandlers } from '../../services/ipam-svc/handlers.ts';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { logContract } from '../../services/log-svc/contract.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { netContract } from '../../services/net-svc/contract.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { connectPeers } from '../../services/state-svc/peers.ts';
import { startContainer } from '../../services/state-svc/start-pipeline.ts';
import { fail, ok } from '../../shared/ipc/contract.ts';
import { createMemoryBus } from '../../shared/ipc/memory-bus.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import type { ContainerPlan, PoolInterface } from '../../shared/revision/revision.ts';
import { INTERNAL, TINY } from '../ipam-svc/kit.ts';

const STARTS_EACH = 5_000;
/** Starts under way at a time. */
const PARALLEL = 50;
const FAILED = { step: 'test', reason: 'told to fail' };
const HOOKS = {
  wanted: () => true,
  onMounting: () => undefined,
  onMounted: () => undefined,
  mayStart: () => Promise.resolve(),
  onStarting: () => undefined,
  onPlumbed: () => undefined,
};

const interfaceIn = (pool: string, name: string): PoolInterface => ({
  pool,
  interface: name,
  address: undefined,
  mac: undefined,
});
const planOf = (name: string, interfaces: readonly PoolInterface[]): ContainerPlan => ({
  name,
  group: 'app',
  statusGoal: 'STARTED',
  restartPolicy: 'container',
  roles: ['nobody'],
  hostname: name,
  rootVolume: 'root.squashfs',
  bases: [],
  config: 'lxc.container.conf',
  storage: { squashfs: [], volumes: [{ name: 'lxc-overlay', persistence: 'boot' }], disks: [], exports: [] },
  drivers: { required: [], optional: [], manual: [] },
  devLog: true,
  automodfw: true,
  deviceRules: undefined,
  remounts: [],
  logFiles: [],
  network: { mode: 'pool', interfaces },
  autoRecovery: undefined,
});

describe('10,000 failed starts', () => {
  it('leave the pool as it was, and nothing mounted or attached', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-failed-starts-'));
    const store = await openLeaseStore(createJournalDisk(folder), silentLogger);
    const bus = createMemoryBus([ipamContract, netContract, lxcContract, logContract, stateContract]);
    const mounted = new Set<string>();
    try {
      const ipam = bus.connect('ipam-svc');
      ipam.serve(ipamContract, createHandlers({ store, log: silentLogger, now: Date.now }));
      ipam.ready();
      const net = bus.connect('net-svc');
      net.serve(netContract, {
        configure: () => ok({ nat: 'unneeded' as const, leftOut: [] }),
        attach: () => fail({ code: 'NET_FAILED', ...FAILED }),
        detach: () => ok({}),
        listAttachments: () => ok({ attachments: [] }),
        listHostAddresses: () => ok({ addresses: [], missing: [] }),
        health: () => ok({ reasons: [] }),
      });
      net.ready();
      const lxc = bus.connect('lxc-svc');
      lxc.serve(lxcContract, {
        mount: ({ container }) => {
          mounted.add(container);
          return ok({ rootfs: '/' });
        },
        start: () => fail({ code: 'START_FAILED', ...FAILED }),
        stop: () => ok({}),
        unmount: ({ container }) => {
          mounted.delete(container);
          return ok({});
        },
        checkDisks: () => ok({ unavailable: [] }),
        listContainers: () => ok({ containers: [] }),
        listMounts: () => ok({ mounts: [] }),
        loadModules: () => ok({}),
        unloadModules: () => ok({}),
        listModules: () => ok({ modules: [], board: { deviceTrees: [], overlays: [] } }),
        runHooks: () => ok({ ran: 0 }),
        health: () => ok({ reasons: [] }),
      });
      lxc.ready();
      const state = bus.connect('state-svc');
      state.ready();
      const peers = connectPeers(state);
      const drivers = { loadFor: async () => undefined };
      const context = { peers, ask: <T>(call: () => Promise<T>) => call(), revision: () => '0', drivers };
      await peers.ipam.configure({ pools: [INTERNAL, TINY], reservations: [] });
      const hold = { container: 'holder', interfaces: [{ interface: 'eth0', pool: TINY.name }] };
      assert.ok((await peers.ipam.allocate(hold)).ok);
      // What it held before its starts began to fail stays its own.
      const own = { container: 'app', interfaces: [{ interface: 'eth0', pool: INTERNAL.name }] };
      assert.ok((await peers.ipam.allocate(own)).ok);
      const before = JSON.stringify(store.ledger.snapshot());

      const failing = async (plan: ContainerPlan, step: string): Promise<void> => {
        const outcome = await startContainer(plan, context, HOOKS);
        assert.ok(outcome.kind === 'failed' && outcome.failure.step === step && outcome.notUndone.length === 0);
      };
      const batches = async (start: (index: number) => Promise<void>): Promise<void> => {
        for (let index = 0; index < STARTS_EACH; index += PARALLEL) {
          await Promise.all(Array.from({ length: PARALLEL }, (_, each) => start(index + each)));
        }
      };
      await batches(() => failing(planOf('app', [interfaceIn(INTERNAL.name, 'eth0')]), 'net.attach'));
      // 5,000 others that want an address of a pool with room and one of a full one: neither is given.
      const both = [interfaceIn(INTERNAL.name, 'eth0'), interfaceIn(TINY.name, 'eth1')];
      await batches((index) => failing(planOf(`other-${index}`, both), 'ipam.allocate'));

      assert.equal(JSON.stringify(store.ledger.snapshot()), before);
      assert.equal(mounted.size, 0);
    } finally {
      bus.close();
      await store.close();
      await rm(folder, { recursive: true });
    }
  });
});
