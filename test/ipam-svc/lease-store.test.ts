// The store on real files, and on disks that fail as a test says.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createJournalDisk, type JournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { type Entry, encodeLine } from '../../services/ipam-svc/journal-format.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { mustParseIpv4 } from '../../shared/ipv4/address.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { ask, INTERNAL, type Running, reserve, SMALL, startIpam, withFolder } from './kit.ts';

const configuration = { pools: [INTERNAL, SMALL], reservations: [] };

interface Failing {
  /** Thrown by the next calls of that method, until cleared. */
  fail: { append?: string; prepare?: string; adopt?: string; truncate?: string };
  /** Bytes of an append that reach the file before it fails. */
  partial: number;
  readonly disk: JournalDisk;
}

function failingDisk(folder: string): Failing {
  const real = createJournalDisk(folder);
  const raise = (code: string | undefined): void => {
    if (code !== undefined) throw Object.assign(new Error(`${code}: from the test`), { code });
  };
  const state: Failing = {
    fail: {},
    partial: 0,
    disk: {
      ...real,
      async append(bytes, offset) {
        const code = state.fail.append;
        await real.append(
          code === undefined ? bytes : bytes.subarray(0, Math.min(state.partial, bytes.length)),
          offset,
        );
        raise(code);
      },
      async prepare(bytes) {
        raise(state.fail.prepare);
        await real.prepare(bytes);
      },
      async adopt() {
        raise(state.fail.adopt);
        await real.adopt();
      },
      async truncate(length) {
        raise(state.fail.truncate);
        await real.truncate(length);
      },
    },
  };
  return state;
}

function countingDisk(folder: string): { readonly disk: JournalDisk; readonly rewrites: () => number } {
  const real = createJournalDisk(folder);
  let count = 0;
  const prepare = (bytes: Buffer): Promise<void> => {
    count += 1;
    return real.prepare(bytes);
  };
  return { disk: { ...real, prepare }, rewrites: () => count };
}

const reasonsOf = async (ipam: Running): Promise<string[]> => {
  const page = await ipam.health();
  return page.map(({ code }) => code);
};

async function restarted(folder: string, check: (ipam: Running) => Promise<void>): Promise<void> {
  const ipam = await startIpam(createJournalDisk(folder));
  await check(ipam);
  await ipam.stop();
}

describe('lease store on a failing disk', () => {
  for (const [code, partial] of [
    ['ENOSPC', 0],
    ['ENOSPC', 30],
    ['EIO', 0],
    ['EIO', 1_000_000],
  ] as const) {
    it(`gives no lease when a write ends with ${code} after ${partial} bytes, and goes on when it works again`, () =>
      withFolder(async (folder) => {
        const broken = failingDisk(folder);
        const ipam = await startIpam(broken.disk);
        await ipam.client.configure(configuration);
        assert.equal(await ask(ipam, INTERNAL, 'a'), '10.0.5.2');
        broken.fail = { append: code, prepare: code };
        broken.partial = partial;
        assert.equal(await ask(ipam, INTERNAL, 'b'), 'JOURNAL_UNWRITABLE');
        assert.equal(await ask(ipam, INTERNAL, 'a'), '10.0.5.2');
        const both = await Promise.all([ask(ipam, INTERNAL, 'c'), ask(ipam, INTERNAL, 'a'), ask(ipam, INTERNAL, 'd')]);
        assert.deepEqual(both, ['JOURNAL_UNWRITABLE', '10.0.5.2', 'JOURNAL_UNWRITABLE']);
        assert.deepEqual(await reasonsOf(ipam), ['JOURNAL_UNWRITABLE']);
        broken.fail = {};
        assert.equal(await ask(ipam, INTERNAL, 'd'), '10.0.5.3');
        assert.deepEqual(await reasonsOf(ipam), []);
        await ipam.stop();
        await restarted(folder, async (next) => {
          assert.deepEqual(
            [await ask(next, INTERNAL, 'a'), await ask(next, INTERNAL, 'd'), await ask(next, INTERNAL, 'e')],
            ['10.0.5.2', '10.0.5.3', '10.0.5.4'],
          );
          assert.deepEqual(await reasonsOf(next), []);
        });
      }));
  }

  it('keeps a lease whose release could not be written', () =>
    withFolder(async (folder) => {
      const broken = failingDisk(folder);
      const ipam = await startIpam(broken.disk);
      await ipam.client.configure(configuration);
      await ask(ipam, INTERNAL, 'a');
      broken.fail = { append: 'ENOSPC', truncate: 'EIO' };
      broken.partial = 1_000_000;
      const released = await ipam.client.release({ pool: 'internal', container: 'a', interface: 'eth0' });
      assert.ok(!released.ok && released.error.code === 'JOURNAL_UNWRITABLE');
      broken.fail = {};
      assert.equal(await ask(ipam, INTERNAL, 'b'), '10.0.5.3');
      await ipam.stop();
      await restarted(folder, async (next) => assert.equal(await ask(next, INTERNAL, 'a'), '10.0.5.2'));
    }));

  it('refuses a configuration that cannot be written, and starts on a disk that was full from the beginning', () =>
    withFolder(async (folder) => {
      const broken = failingDisk(folder);
      broken.fail = { prepare: 'ENOSPC' };
      const ipam = await startIpam(broken.disk);
      const refused = await ipam.client.configure(configuration);
      assert.ok(!refused.ok && refused.error.code === 'JOURNAL_UNWRITABLE');
      assert.equal(await ask(ipam, INTERNAL, 'a'), 'UNKNOWN_POOL');
      broken.fail = { adopt: 'EIO' };
      assert.ok(!(await ipam.client.configure(configuration)).ok);
      broken.fail = {};
      assert.ok((await ipam.client.configure(configuration)).ok);
      assert.equal(await ask(ipam, INTERNAL, 'a'), '10.0.5.2');
      await ipam.stop();
    }));
});

interface Gate {
  readonly passed: Promise<void>;
  readonly open: () => void;
}

function createGate(): Gate {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

describe('lease store on a slow disk', () => {
  it('tells nobody of a lease before it is synced: neither who asks again nor who lists', () =>
    withFolder(async (folder) => {
      const real = createJournalDisk(folder);
      const writing = createGate();
      const synced = createGate();
      const append = async (bytes: Buffer, offset: number): Promise<void> => {
        writing.open();
        await synced.passed;
        await real.append(bytes, offset);
      };
      const ipam = await startIpam({ ...real, append });
      await ipam.client.configure(configuration);
      const answered: string[] = [];
      const note = (what: string) => (): void => void answered.push(what);
      const first = ask(ipam, INTERNAL, 'a').then(note('lease'));
      await writing.passed;
      const second = ask(ipam, INTERNAL, 'a').then(note('lease again'));
      const list = ipam.client.listLeases({ limit: 10 }).then(note('list'));
      const pools = ipam.client.listPools({}).then(note('pools'));
      // Comes in after all of them, needs no disk, and is answered.
      assert.equal(await ask(ipam, { ...INTERNAL, name: 'none' }, 'a'), 'UNKNOWN_POOL');
      assert.deepEqual(answered, []);
      synced.open();
      await Promise.all([first, second, list, pools]);
      assert.deepEqual(answered.sort(), ['lease', 'lease again', 'list', 'pools']);
      await ipam.stop();
    }));
});

describe('lease store on files', () => {
  it('rewrites a journal that is mostly superseded, under load, and loses nothing', () =>
    withFolder(async (folder) => {
      const store = await openLeaseStore(createJournalDisk(folder), silentLogger);
      const { ledger } = store;
      await store.commit(configured(ledger.configure(configuration, 1)));
      const churn = async (name: string): Promise<void> => {
        for (let round = 0; round < 300; round += 1) {
          await store.commit(configured(ledger.allocate(name, [{ interface: 'eth0', pool: 'small' }], round)));
          if (round < 299)
            await store.commit(ledger.release({ pool: 'small', container: name, interface: 'eth0' }, round));
        }
      };
      await Promise.all(['a', 'b', 'c', 'd'].map(churn));
      const before = ledger.snapshot();
      await store.close();
      assert.ok(readFileSync(join(folder, 'leases.journal')).filter((byte) => byte === 0x0a).length < 1500);
      const again = await openLeaseStore(createJournalDisk(folder), silentLogger);
      assert.deepEqual(again.ledger.snapshot().map(textOf).sort(), before.map(textOf).sort());
      await again.close();
    }));

  it('rewrites a journal that is mostly superseded configurations, however few lines these are, and then appends again', () =>
    withFolder(async (folder) => {
      const { disk, rewrites } = countingDisk(folder);
      const store = await openLeaseStore(disk, silentLogger);
      const containers = Array.from({ length: 200 }, (_, index) => [`container-${index}/eth0`, null] as const);
      const written: number[] = [];
      for (let update = 0; update < 300; update += 1) {
        const fixed = { [`container-${update % 200}/eth0`]: '02:00:00:00:00:01' };
        const interfaces = { [INTERNAL.name]: { ...Object.fromEntries(containers), ...fixed } };
        await store.commit(configured(store.ledger.configure({ ...configuration, interfaces }, update)));
        written.push(statSync(join(folder, 'leases.journal')).size);
      }
      const before = store.ledger.snapshot();
      await store.close();
      assert.ok(Math.max(...written) < 512 * 1024, `${Math.max(...written)} bytes`);
      assert.ok(rewrites() > 0 && rewrites() < 10, `${rewrites()} rewrites`);
      const again = await openLeaseStore(createJournalDisk(folder), silentLogger);
      assert.deepEqual(again.ledger.snapshot().map(textOf), before.map(textOf));
      await again.close();
    }));

  it('appends to a journal whose quarantine is long, and does not rewrite it for each lease', () =>
    withFolder(async (folder) => {
      const pool = { ...INTERNAL, subnet: '10.0.0.0/16', gateway: '10.0.0.1' };
      const quarantined = Array.from({ length: 6_000 }, (_, index): Entry => {
        return { op: 'quarantine', pool: pool.name, address: mustParseIpv4('10.0.0.2') + index };
      });
      const entries: readonly Entry[] = [
        { op: 'journal' },
        { op: 'config', ms: 1, configuration: { pools: [pool], reservations: [] } },
        ...quarantined,
        { op: 'doubt', records: 6_000, addresses: 6_000 },
      ];
      const text = entries.map((entry, at) => encodeLine(at + 1, entry)).join('');
      writeFileSync(join(folder, 'leases.journal'), text);
      const { disk, rewrites } = countingDisk(folder);
      const ipam = await startIpam(disk);
      for (let index = 0; index < 5; index += 1) await ask(ipam, pool, `c${index}`);
      assert.equal(rewrites(), 0);
      await ipam.stop();
    }));

  it('repairs a torn tail and appends behind it', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'leases.journal');
      await restarted(folder, async (ipam) => {
        await ipam.client.configure(configuration);
        await ask(ipam, INTERNAL, 'a');
        await ask(ipam, INTERNAL, 'b');
      });
      const whole = readFileSync(path);
      writeFileSync(path, Buffer.concat([whole, Buffer.from('5 lease internal c et')]));
      await restarted(folder, async (ipam) => assert.equal(await ask(ipam, INTERNAL, 'c'), '10.0.5.4'));
      await restarted(folder, async (ipam) => {
        assert.deepEqual(await reasonsOf(ipam), []);
        assert.equal(await ask(ipam, INTERNAL, 'c'), '10.0.5.4');
      });
    }));

  it('never issues an address that a destroyed line may have given away, also after rewrites', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'leases.journal');
      await restarted(folder, async (ipam) => {
        await ipam.client.configure(configuration);
        for (const name of ['a', 'b', 'c']) await ask(ipam, SMALL, name);
      });
      const lines = readFileSync(path, 'latin1').split('\n');
      lines[3] = 'x'.repeat(lines[3]?.length ?? 0);
      writeFileSync(path, lines.join('\n'));
      for (let round = 0; round < 2; round += 1) {
        await restarted(folder, async (ipam) => {
          assert.deepEqual(await reasonsOf(ipam), ['JOURNAL_DAMAGED']);
          // .3 was b's and is lost; it is neither given to d nor back to b.
          assert.deepEqual(
            [await ask(ipam, SMALL, 'a'), await ask(ipam, SMALL, 'c'), await ask(ipam, SMALL, 'd')],
            ['10.0.7.2', '10.0.7.4', '10.0.7.5'],
          );
        });
      }
      assert.equal(readFileSync(`${path}.damaged`, 'latin1'), lines.join('\n'));
      await restarted(folder, async (ipam) => {
        assert.equal(await ask(ipam, SMALL, 'b'), '10.0.7.6');
        assert.equal(await ask(ipam, SMALL, 'e'), 'POOL_EXHAUSTED');
        assert.equal(await ask(ipam, SMALL, 'e', '10.0.7.3'), 'ADDRESS_TAKEN');
      });
    }));

  it('never issues an address that a destroyed line may have given back to who had it before a revision moved it', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'leases.journal');
      const moved = { ...configuration, reservations: [reserve(SMALL, 'c', '10.0.7.6')] };
      await restarted(folder, async (ipam) => {
        await ipam.client.configure(configuration);
        for (const name of ['a', 'b', 'c']) await ask(ipam, SMALL, name);
        for (const container of ['a', 'b']) await ipam.client.release({ pool: 'small', container, interface: 'eth0' });
        await ipam.client.configure(moved);
        assert.equal(await ask(ipam, SMALL, 'c'), '10.0.7.6');
        await ipam.client.configure(configuration);
        assert.equal(await ask(ipam, SMALL, 'c'), '10.0.7.4');
      });
      const lines = readFileSync(path, 'latin1').trimEnd().split('\n');
      lines.push(`${'x'.repeat(lines.pop()?.length ?? 0)}\n`);
      writeFileSync(path, lines.join('\n'));
      await restarted(folder, async (ipam) => {
        // One record can have given away the address released first, a home, or the lowest never used.
        assert.equal(await ask(ipam, SMALL, 'd'), '10.0.7.3');
        assert.equal(await ask(ipam, SMALL, 'e'), 'POOL_EXHAUSTED');
      });
    }));

  it('takes no more out of use than the lines at the end of the file can have given away', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'leases.journal');
      await restarted(folder, async (ipam) => {
        await ipam.client.configure(configuration);
        for (const name of ['a', 'b', 'c']) await ask(ipam, INTERNAL, name);
      });
      const lines = readFileSync(path, 'latin1').trimEnd().split('\n');
      lines.push(`${'x'.repeat(lines.pop()?.length ?? 0)}\n`);
      writeFileSync(path, lines.join('\n'));
      await restarted(folder, async (ipam) => assert.equal(await ask(ipam, INTERNAL, 'd'), '10.0.5.5'));
    }));

  it('keeps every address of the region out of use when a whole stretch is gone', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'leases.journal');
      const names = Array.from({ length: 20 }, (_, index) => `c${index}`);
      await restarted(folder, async (ipam) => {
        await ipam.client.configure(configuration);
        for (const name of names) await ask(ipam, INTERNAL, name);
      });
      const whole = readFileSync(path);
      writeFileSync(path, Buffer.from(whole).fill(0, 900, whole.length - 200));
      await restarted(folder, async (ipam) => {
        const given = new Set<string>();
        for (let index = 0; index < 100; index += 1) given.add(await ask(ipam, INTERNAL, `new-${index}`));
        for (let host = 2; host < 22; host += 1) assert.ok(!given.has(`10.0.5.${host}`), `10.0.5.${host}`);
      });
    }));

  it('puts a flipped bit right and says so', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'leases.journal');
      await restarted(folder, async (ipam) => {
        await ipam.client.configure(configuration);
        await ask(ipam, INTERNAL, 'a');
      });
      const bytes = readFileSync(path);
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 4;
      writeFileSync(path, bytes);
      await restarted(folder, async (ipam) => {
        assert.deepEqual(await reasonsOf(ipam), ['JOURNAL_CORRECTED']);
        assert.deepEqual([await ask(ipam, INTERNAL, 'b'), await ask(ipam, INTERNAL, 'a')], ['10.0.5.3', '10.0.5.2']);
      });
    }));

  it('does not start without leases that are there but cannot be read', () =>
    withFolder(async (folder) => {
      const disk = { ...createJournalDisk(folder), load: () => Promise.reject(new Error('EIO')) };
      await assert.rejects(openLeaseStore(disk, silentLogger), /EIO/);
    }));
});

function configured<T>(result: { ok: true; change: T } | { ok: false; error: { code: string } }): T {
  assert.ok(result.ok);
  return result.change;
}

const textOf = (entry: Parameters<typeof encodeLine>[1]): string => encodeLine(1, entry);
