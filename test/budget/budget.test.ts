// Holds what can be counted against budget.ts: bundles, messages, processes and writes. Times are the bench's.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { build } from 'esbuild';
import { writeIdleSource } from '../../scripts/bench/idle-containers.ts';
import { bundleOptions } from '../../scripts/bundles.ts';
import { createHandlers } from '../../services/ipam-svc/handlers.ts';
import { createJournalDisk, type JournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { INTERNAL, withFolder } from '../ipam-svc/kit.ts';
import { ask, containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';
import { APP, callsOf, POOLED, useDevices } from '../state-svc/kit.ts';
import { BUNDLES, MESSAGES_PER_START, PROCESSES_PER_START, WRITES_PER_64_LEASES, WRITES_PER_LEASE } from './budget.ts';

function within(what: string, found: number, budget: number): void {
  const over = found - budget;
  assert.ok(over <= 0, `${what}: ${found}, ${over} more than the budget of ${budget}; test/budget/budget.ts has it`);
}

describe('budget.bundles', () => {
  it('has bundles of no more bytes and files than there is a budget for', async () => {
    const { metafile } = await build({ ...(await bundleOptions()), outdir: 'dist', write: false, metafile: true });
    const found = Object.entries(metafile?.outputs ?? {}).filter(([path]) => path.endsWith('.js'));
    assert.deepEqual(found.map(([path]) => basename(path, '.js')).sort(), Object.keys(BUNDLES).sort());
    for (const [path, { bytes, inputs }] of found) {
      const name = basename(path, '.js');
      const budget = BUNDLES[name] ?? { bytes: 0, modules: 0 };
      within(`bytes of ${name}`, bytes, budget.bytes);
      within(`files in ${name}`, Object.keys(inputs).length, budget.modules);
    }
  });
});

const device = useDevices();

describe('budget.start', () => {
  it('takes no more messages than there is a budget for', async () => {
    const it = await device({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    within('messages for the start of a container', callsOf(it, 'web').length, MESSAGES_PER_START);
  });

  it('takes no more processes than there is a budget for', async (context) => {
    const source = writeIdleSource(1);
    try {
      const tree = await openTree(packExample(source));
      try {
        tree.start();
        await tree.up();
        // Others of the device begin some of their own now and then: the least of several tells what a start takes.
        const counts: number[] = [];
        for (let cycle = 0; cycle < 3; cycle += 1) counts.push(await processesOfStart(tree));
        context.diagnostic(`processes of a start: ${counts.join(', ')}`);
        within('processes for the start of a container', Math.min(...counts), PROCESSES_PER_START);
        await tree.endSupervisor('SIGINT');
      } finally {
        await tree.close();
      }
    } finally {
      rmSync(source, { recursive: true, force: true });
    }
  });
});

async function processesOfStart(tree: Tree): Promise<number> {
  await act(tree, 'stop', 'STOPPED');
  const looked = lastPid(tree);
  const own = lastPid(tree) - looked;
  await act(tree, 'start', 'STARTED');
  return lastPid(tree) - looked - 2 * own;
}

/** Of the tree's pid namespace, where pids are given in turn (proc(5), ns_last_pid), to threads as well. */
function lastPid(tree: Tree): number {
  return Number(tree.inside(['cat', '/proc/sys/kernel/ns_last_pid']).stdout);
}

async function act(tree: Tree, action: 'start' | 'stop', status: string): Promise<void> {
  const answer = await ask(tree.socket, 'PUT', '/containers/c00', { action });
  assert.equal(answer.status, 200, answer.body);
  await eventually(`c00 ${status}`, PATIENCE_MS, async () =>
    (await get(tree.socket, '/containers', containerRows)).some((row) => row.status === status),
  );
}

describe('budget.leases', () => {
  const writesFor = async (leases: number): Promise<number> => {
    let writes = 0;
    await withFolder(async (folder) => {
      const disk = createJournalDisk(folder);
      const counting: JournalDisk = {
        ...disk,
        append(bytes, offset) {
          writes += 1;
          return disk.append(bytes, offset);
        },
      };
      const store = await openLeaseStore(counting, silentLogger);
      const handlers = createHandlers({ store, log: silentLogger, now: () => 7 });
      const context = { caller: 'state-svc', signal: new AbortController().signal } as const;
      await handlers.configure({ pools: [INTERNAL], reservations: [] }, context);
      writes = 0;
      const allocate = (index: number) =>
        handlers.allocate({ container: `c${index}`, interfaces: [{ interface: 'eth0', pool: 'internal' }] }, context);
      await Promise.all(Array.from({ length: leases }, (_, index) => allocate(index)));
      await store.close();
    });
    return writes;
  };

  it('takes no more synced writes than there is a budget for', async () => {
    within('writes for a lease', await writesFor(1), WRITES_PER_LEASE);
    within('writes for 64 leases at once', await writesFor(64), WRITES_PER_64_LEASES);
  });
});
