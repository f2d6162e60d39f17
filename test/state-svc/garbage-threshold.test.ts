// Garbage that is collected by itself because too little of the storage is free: looked at by the clock, which the test holds.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createChecksums } from '../../services/state-svc/checksum-pool.ts';
import { createGarbageCollector, type GarbageCollector } from '../../services/state-svc/garbage-collector.ts';
import { openDesk } from '../../services/state-svc/open-desk.ts';
import { openRevisionStore } from '../../services/state-svc/revision-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually } from '../kit/eventually.ts';
import { sha256, stateOf, writeRevision } from './device.ts';
import { createTestClock, type TestClock } from './test-clock.ts';

const LOOK_MS = 30_000;

describe('the garbage threshold', () => {
  let storage: string;
  let clock: TestClock;
  let collector: GarbageCollector;
  let availablePercent: () => Promise<number>;
  let thresholdPercent: number;
  let deferMs: number;
  let looks: number;
  let warnings: string[];
  /** Revisions and objects that cannot be removed. */
  let stuck: Set<string>;
  /** Revisions whose state the disk does not give. */
  let unread: Set<string>;
  const garbage = (): string => join(storage, 'objects', sha256('nobody has it'));
  const leftRevision = (): string => join(storage, 'trails/locals/left');

  beforeEach(async () => {
    storage = mkdtempSync(join(tmpdir(), 'state-threshold-'));
    mkdirSync(join(storage, 'objects'));
    for (const name of ['0', 'locals/left']) await writeRevision(storage, name, stateOf({ a: {} }, {}));
    writeFileSync(garbage(), 'nobody has it');
    clock = createTestClock();
    [looks, warnings, thresholdPercent, deferMs] = [0, [], 20, 0];
    availablePercent = async () => 20;
    const log: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
    [stuck, unread] = [new Set(), new Set()];
    const unlessStuck =
      <T>(remove: (name: string) => Promise<T>) =>
      (name: string): Promise<T> =>
        stuck.has(name) ? Promise.reject(new Error('EACCES')) : remove(name);
    const opened = openStepStore(storage, log);
    const stateText = (name: string) =>
      unread.has(name)
        ? Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }))
        : opened.stateText(name);
    const steps = { ...opened, stateText, remove: unlessStuck(opened.remove) };
    const store = openRevisionStore(storage, createChecksums('none is started'));
    const desk = await openDesk({
      storage,
      store,
      steps,
      clock,
      log,
      reservedPercent: () => 0,
      usedFor: () => undefined,
      makeRoom: async () => undefined,
    });
    collector = createGarbageCollector({
      desk: { ...desk, objects: { ...desk.objects, remove: unlessStuck(desk.objects.remove) } },
      clock,
      log,
      needed: () => new Set(['0']),
      settings: () => ({ keepFactory: false, deferMs, thresholdPercent }),
      room: {
        availableBytes: async () => 0,
        availablePercent: async () => {
          looks += 1;
          return await availablePercent();
        },
      },
    });
  });
  afterEach(() => {
    collector.close();
    rmSync(storage, { recursive: true });
  });

  /** What is due is done, and the next look is armed. */
  const look = async (): Promise<void> => {
    clock.advance(LOOK_MS);
    await eventually('the next look', 20_000, () => clock.armed().length === 1);
  };

  it('is looked at every half minute from the first watch on, and what nobody needs goes once less than that is free', async () => {
    assert.deepEqual(clock.armed(), []);
    collector.watch();
    assert.deepEqual(clock.armed(), [LOOK_MS]);
    clock.advance(LOOK_MS - 1);
    assert.equal(looks, 0);
    await look();
    assert.equal(looks, 1);
    assert.ok(existsSync(garbage()));
    availablePercent = async () => 19.9;
    await look();
    assert.ok(!existsSync(garbage()));
    assert.ok(!existsSync(leftRevision()));
    assert.ok(existsSync(join(storage, 'trails/0/.pvr/json')));
    assert.ok(
      existsSync(join(storage, 'objects', sha256('root of a'))),
      'an object of a revision that stays, and is not checked out, is gone',
    );
  });

  it('is no object while a state cannot be read that may name it, and all else', async () => {
    unread = new Set(['0']);
    assert.ok((await collector.collect()) > 0);
    assert.ok(existsSync(garbage()));
    assert.ok(!existsSync(leftRevision()));
    assert.match(warnings.join(), /objects stay while .* are of 0 \(\.pvr\/json: EIO/);
    unread = new Set();
    await collector.collect();
    assert.ok(!existsSync(garbage()));
  });

  it('is an object also beside a state that is no JSON, which nobody can run', async () => {
    writeFileSync(join(storage, 'trails/0/.pvr/json'), '{');
    await collector.collect();
    assert.ok(!existsSync(garbage()));
    assert.deepEqual(warnings, []);
  });

  it('leaves what came lately, which a command does not', async () => {
    [deferMs, availablePercent] = [600_000, async () => 0];
    utimesSync(garbage(), clock.nowMs() / 1000, clock.nowMs() / 1000);
    collector.watch();
    await look();
    assert.ok(existsSync(garbage()));
    assert.ok(await collector.collect());
    assert.ok(!existsSync(garbage()));
  });

  it('collects nothing at 0, and counts from the next look on when it is changed', async () => {
    availablePercent = async () => 0;
    thresholdPercent = 0;
    collector.watch();
    await look();
    assert.equal(looks, 0);
    assert.ok(existsSync(garbage()));
    thresholdPercent = 1;
    await look();
    assert.ok(!existsSync(garbage()));
  });

  it('is looked at again after a look that failed', async () => {
    availablePercent = () => Promise.reject(new Error('no such disk'));
    collector.watch();
    await look();
    assert.match(warnings.join(), /garbage cannot be collected: Error: no such disk/);
    availablePercent = async () => 10;
    await look();
    assert.ok(!existsSync(garbage()));
  });

  it('is looked at one time after the other, however long one takes, and not after the end', async () => {
    let go: (percent: number) => void = () => undefined;
    availablePercent = () =>
      new Promise((resolve) => {
        go = resolve;
      });
    collector.watch();
    clock.advance(10 * LOOK_MS);
    await eventually('the look', 20_000, () => looks === 1);
    assert.deepEqual(clock.armed(), []);
    collector.close();
    go(0);
    await eventually('what the look finds is collected', 20_000, () => !existsSync(garbage()));
    await collector.collect();
    assert.deepEqual(clock.armed(), []);
    collector.watch();
    assert.deepEqual(clock.armed(), []);
  });

  it('does not keep the rest when something cannot be removed, and says what stays and why', async () => {
    await writeRevision(storage, 'locals/also', stateOf({ a: {} }, {}));
    const other = sha256('nor this');
    writeFileSync(join(storage, 'objects', other), 'nor this');
    stuck = new Set(['locals/also', [other, sha256('nobody has it')].sort()[0] ?? '']);
    const bytes = await collector.collect();
    assert.ok(bytes > 0);
    assert.ok(!existsSync(leftRevision()));
    assert.ok(existsSync(join(storage, 'trails/locals/also')));
    assert.equal([garbage(), join(storage, 'objects', other)].filter((path) => existsSync(path)).length, 1);
    assert.deepEqual(
      warnings,
      [...stuck].map((name) => {
        const what = name.startsWith('locals/') ? 'revision' : 'object';
        return `garbage: ${what} ${name} cannot be removed: Error: EACCES`;
      }),
    );
    stuck.clear();
    await collector.collect();
    assert.ok(!existsSync(join(storage, 'trails/locals/also')));
  });

  it('says once what stays and why, and once more to who asks', async () => {
    stuck.add('locals/left');
    availablePercent = async () => 19;
    collector.watch();
    for (let looked = 0; looked < 3; looked += 1) await look();
    const said = () => warnings.filter((line) => line.includes('locals/left')).length;
    assert.equal(said(), 1);
    await collector.collect();
    assert.equal(said(), 2);
    await look();
    assert.equal(said(), 2);
    stuck.clear();
    await look();
    assert.ok(!existsSync(leftRevision()));
    availablePercent = () => Promise.reject(new Error('EIO'));
    for (let looked = 0; looked < 3; looked += 1) await look();
    assert.equal(warnings.filter((line) => line.includes('cannot be collected')).length, 1);
  });
});
