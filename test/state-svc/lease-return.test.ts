// Leases of containers that no revision has: state-svc's rule beside a real ipam-svc, over restarts and a clock held by the test.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { countHolds } from '../../services/state-svc/lease-hold.ts';
import { openLeaseHolds } from '../../services/state-svc/lease-hold-store.ts';
import { createLeaseReturn, type LeaseReturn } from '../../services/state-svc/lease-return.ts';
import { ask, collectingLogger, INTERNAL, type Running, startIpam } from '../ipam-svc/kit.ts';
import { PATIENCE_MS } from '../kit/eventually.ts';
import { createDevice, LEASE_HOLD_MS, POOL } from './device.ts';
import { createTestClock } from './test-clock.ts';

const HOUR_MS = 3_600_000;
const HOLD_MS = 24 * HOUR_MS;

let folder = '';
let ipam: Running;
const lines: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-holds-'));
  ipam = await startIpam(createJournalDisk(folder));
  await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
  lines.length = 0;
});
afterEach(async () => {
  await ipam.stop();
  await rm(folder, { recursive: true });
});

/** A state-svc's part in it; a new one is what a restart makes, with a clock that starts at 0 again. */
function start(clock = createTestClock()): { readonly leases: LeaseReturn; readonly clock: typeof clock } {
  const log = collectingLogger(lines);
  const leases = createLeaseReturn({
    peers: { ipam: ipam.client },
    ask: (call) => call(),
    clock,
    log,
    store: openLeaseHolds(join(folder, 'lease-holds.json'), log),
    holdMs: HOLD_MS,
  });
  return { leases, clock };
}

const holders = async (): Promise<readonly string[]> => {
  const page = await ipam.client.listLeases({ limit: 200 });
  return page.ok ? page.value.leases.filter(({ state }) => state === 'leased').map(({ container }) => container) : [];
};
/** Files are written in between, so turns of the loop are all that there is to wait for. */
const until = async (holds: () => boolean): Promise<void> => {
  const end = performance.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(performance.now() < end, 'it never came to this');
    await new Promise((resolve) => setImmediate(resolve));
  }
};
/** Lets time pass, timer by timer; each look ends with another timer, or with nothing left to wait for and no file. */
const pass = async (clock: ReturnType<typeof createTestClock>, ms: number): Promise<void> => {
  for (let left = ms; left > 0; ) {
    const due = clock.armed()[0] ?? Number.POSITIVE_INFINITY;
    const step = Math.min(left, due);
    clock.advance(step);
    left -= step;
    if (step < due) continue;
    await until(() => clock.armed().length > 0 || !existsSync(join(folder, 'lease-holds.json')));
  }
};

describe('leases of containers that no revision has', () => {
  it('are given back after the hold time, and not before', async () => {
    await ask(ipam, INTERNAL, 'gone');
    await ask(ipam, INTERNAL, 'here');
    const { leases, clock } = start();
    await leases.open(new Set(['here']));
    await pass(clock, HOLD_MS - 1);
    assert.deepEqual(await holders(), ['gone', 'here']);
    await pass(clock, 1);
    assert.deepEqual(await holders(), ['here']);
    assert.deepEqual(clock.armed(), []);
    assert.ok(
      lines.some((line) => line === 'no revision has container gone any more: its leases are given back in 24 h'),
    );
    assert.ok(ipam.lines.includes('released the lease of gone (eth0) in pool internal'));
  });

  it('count on over restarts, without the time in which nothing ran', async () => {
    await ask(ipam, INTERNAL, 'gone');
    for (let hour = 0; hour < 23; hour += 1) {
      const { leases, clock } = start(createTestClock(1_800_000_000_000 + hour * 90 * 24 * HOUR_MS));
      await leases.open(new Set());
      await pass(clock, HOUR_MS);
      await leases.close();
      assert.deepEqual(clock.armed(), []);
    }
    assert.deepEqual(JSON.parse(await readFile(join(folder, 'lease-holds.json'), 'utf8')), {
      'gone/internal/eth0': 23 * HOUR_MS,
    });
    const last = start();
    await last.leases.open(new Set());
    await pass(last.clock, HOUR_MS - 1);
    assert.deepEqual(await holders(), ['gone']);
    await pass(last.clock, 1);
    assert.deepEqual(await holders(), []);
  });

  it('lose at most ten minutes of the count to a SIGKILL', async () => {
    await ask(ipam, INTERNAL, 'gone');
    const killed = start();
    await killed.leases.open(new Set());
    await pass(killed.clock, HOUR_MS + 599_000);
    const { 'gone/internal/eth0': gone } = JSON.parse(await readFile(join(folder, 'lease-holds.json'), 'utf8'));
    assert.equal(gone, HOUR_MS);
  });

  it('stay when the container comes back within the hold time, and a later absence counts from 0', async () => {
    assert.equal(await ask(ipam, INTERNAL, 'prodigal'), '10.0.5.2');
    const away = start();
    await away.leases.open(new Set());
    await pass(away.clock, HOLD_MS - HOUR_MS);
    await away.leases.close();
    const back = start();
    await back.leases.open(new Set(['prodigal']));
    await pass(back.clock, 2 * HOLD_MS);
    assert.equal(await ask(ipam, INTERNAL, 'prodigal'), '10.0.5.2');
    await back.leases.close();
    const again = start();
    await again.leases.open(new Set());
    await pass(again.clock, HOLD_MS - 1);
    assert.deepEqual(await holders(), ['prodigal']);
  });

  it('are those of an interface that a container dropped, and not its others', async () => {
    const interfaces = ['eth0', 'eth1'].map((name) => ({ interface: name, pool: 'internal' }));
    assert.ok((await ipam.client.allocate({ container: 'web', interfaces })).ok);
    const plan = (...names: string[]) => ({
      name: 'web',
      network: {
        mode: 'pool' as const,
        interfaces: names.map((name) => ({ interface: name, pool: 'internal', address: undefined, mac: undefined })),
      },
    });
    const both = start();
    // The revision that runs dropped one, the one to roll back to has both.
    await both.leases.open(new Set(['web']), [plan('eth0'), plan('eth0', 'eth1')]);
    assert.deepEqual(both.clock.armed(), []);
    const { leases, clock } = start();
    await leases.open(new Set(['web']), [plan('eth0')]);
    await pass(clock, HOLD_MS - 1);
    assert.deepEqual(await holders(), ['web', 'web']);
    await pass(clock, 1);
    assert.deepEqual(await holders(), ['web']);
    assert.ok(ipam.lines.includes('released the lease of web (eth1) in pool internal'));
    assert.ok(lines.includes('container web has no eth1 in pool internal any more: its lease is given back in 24 h'));
  });

  it('start over when the file is damaged, and say so', async () => {
    await ask(ipam, INTERNAL, 'gone');
    await writeFile(join(folder, 'lease-holds.json'), '{"gone": 86400000');
    const { leases, clock } = start();
    await leases.open(new Set());
    assert.ok(lines.some((line) => line.includes('hold times of leases start over')));
    await pass(clock, HOLD_MS - 1);
    assert.deepEqual(await holders(), ['gone']);
  });

  it('are never due early, whatever comes and goes', () => {
    const leaseOf = (container: string) => ({ pool: 'p', container, interface: 'eth0' });
    const step = fc.record({ passedMs: fc.nat(50), known: fc.subarray(['a', 'b', 'c']) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const absentMs = new Map<string, number>();
        let times: ReadonlyMap<string, number> = new Map();
        for (const { passedMs, known } of steps) {
          const { due, ...next } = countHolds(
            times,
            ['a', 'b', 'c'].map(leaseOf),
            { containers: new Set(known), leases: new Map() },
            passedMs,
            100,
          );
          for (const name of ['a', 'b', 'c']) {
            if (known.includes(name)) absentMs.delete(name);
            else absentMs.set(name, absentMs.has(name) ? (absentMs.get(name) ?? 0) + passedMs : 0);
          }
          const expected = [...absentMs].filter(([, ms]) => ms >= 100).map(([name]) => name);
          assert.deepEqual(due.map(({ container }) => container).sort(), expected.sort());
          times = next.times;
        }
      }),
    );
  });
});

describe('state-svc', () => {
  it('gives back what a container of an earlier revision held, over a restart', async () => {
    const device = await createDevice(
      { web: { group: 'app', network: { pool: 'internal' } } },
      { network: { pools: { internal: POOL } } },
    );
    try {
      device.world.leases.set('earlier', '10.0.5.9');
      await device.boot();
      await device.untilStatus('web', 'STARTED');
      device.clock.advance(LEASE_HOLD_MS / 2);
      await device.boot();
      await device.untilStatus('web', 'STARTED');
      await until(() => {
        device.clock.advance(device.clock.armed()[0] ?? 0);
        return !device.world.leases.has('earlier');
      });
      // The patience with which lists are answered is a timer too.
      const late = device.clock.elapsedMs() - LEASE_HOLD_MS;
      assert.ok(late >= 0 && late < 10_000, `${late} ms after its time`);
      assert.deepEqual(
        device.world.calls.filter((call) => call.startsWith('ipam.release')),
        ['ipam.release earlier'],
      );
    } finally {
      await device.close();
    }
  });
});
