// Updates without a reboot that do not make it: what is gone back to, and what a disk that takes nothing makes of it.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type ContainerSpec, type Device, GARBAGE_DEFER_MS, POOL, sha256, TRIAL } from './device.ts';
import { APP, FAILED, health, POOLED } from './kit.ts';
import {
  CHANGED_B,
  command,
  commits,
  DONE,
  deviceForEach,
  install,
  onDisk,
  pids,
  progressOf,
  reaches,
  TESTING,
  TESTING_LIVE,
  THREE,
  UPDATED,
  updateLive,
} from './updates-kit.ts';

const open = deviceForEach();

describe('an update that does not make it', () => {
  /** Of `b`, whose only retry is after a second. */
  const exhausts = async (it: Device): Promise<void> => {
    await it.until(async () => (await progressOf(it, 'locals/x')).status === 'TESTING');
    await it.untilStatus('b', 'STARTED');
    it.world.exit('b', FAILED);
    await it.untilStatus('b', 'RECOVERING');
    it.clock.advance(1000);
    await it.untilStatus('b', 'STARTED');
    it.world.exit('b', FAILED);
  };
  const wrong: Readonly<
    Record<string, readonly [Record<string, ContainerSpec>, (it: Device) => void | Promise<void>, string]>
  > = {
    'a container that cannot be started': [
      { ...CHANGED_B, d: APP },
      (it) => void it.world.troubles.set('lxc.start d', 'refuse'),
      'A container could not be started',
    ],
    'a container that ends at once': [
      CHANGED_B,
      (it) => void it.world.diesAtOnce.add('b'),
      'A container could not be started',
    ],
    'a container that never says that it is ready': [
      { ...THREE, b: { ...APP, status_goal: 'READY' } },
      async (it) => {
        await it.until(async () => (await progressOf(it, 'locals/x')).status === 'TESTING');
        await it.untilStatus('b', 'STARTED');
        it.clock.advance(30_000);
      },
      'Status goal not reached',
    ],
    'a container whose recovery is exhausted': [
      {
        ...THREE,
        b: { ...APP, auto_recovery: { policy: 'always', max_retries: 1, retry_delay: 1, backoff_policy: 'reboot' } },
      },
      exhausts,
      'A container could not be started',
    ],
    'a container whose retries are used up, also when it is to be tried again later': [
      {
        ...THREE,
        b: { ...APP, auto_recovery: { policy: 'always', max_retries: 1, retry_delay: 1, backoff_policy: '10min' } },
      },
      exhausts,
      'A container could not be started',
    ],
    'a container that is not its own any more': [
      THREE,
      async (it) => {
        await reaches(it, 'locals/x', TESTING_LIVE);
        it.world.exit('c', FAILED);
      },
      'A container could not be started',
    ],
  };
  for (const [what, [containers, happens, message]] of Object.entries(wrong)) {
    it(`because of ${what} goes back, without a reboot, and says why`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', containers);
      const before = await pids(it);
      if (what.includes('cannot') || what.includes('at once')) await happens(it);
      assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
      if (!(what.includes('cannot') || what.includes('at once'))) await happens(it);
      await reaches(it, 'locals/x', message);
      it.world.troubles.clear();
      const progress = await progressOf(it, 'locals/x');
      assert.equal(progress.status, 'ERROR');
      const text = progress.logs ?? '';
      assert.ok(text.endsWith('\n'), 'each line has its end');
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      for (const { platform } of lines) assert.equal(platform, 'pantavisor');
      assert.ok(
        lines.some(({ lvl, msg }) => lvl === 'ERROR' && /\b[bcd]\b/.test(msg)),
        text,
      );
      assert.equal(onDisk(it).revision, '0');
      assert.equal(onDisk(it).trying, undefined);
      assert.deepEqual(it.reboots, []);
      assert.equal((await pids(it)).a, before.a);
      const current = await it.state.stepProgress({ name: 'current' });
      assert.equal(current.ok && current.value.revision, '0');
      await it.untilStatus('b', 'STARTED');
    });
  }

  it('because a system container ended that it has kept goes back by a reboot: nothing else starts that one', async () => {
    const base = { group: 'root' };
    const it = await open({ ...THREE, base });
    await install(it, 'locals/x', { ...CHANGED_B, base });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    it.world.exit('base', { kind: 'code', code: 0 });
    await it.until(() => it.reboots.length > 0);
    assert.deepEqual(it.reboots, ['UPDATE_ROLLED_BACK']);
    await reaches(it, 'locals/x', 'A container could not be started');
    await it.boot({ cut: true });
    await it.untilStatus('base', 'STARTED');
    assert.equal(it.world.containers.get('base')?.revision, '0');
  });

  it('because of a container that can have no address goes back, without a reboot', async () => {
    const pools = { network: { pools: { internal: POOL } } };
    const it = await open(THREE, pools);
    await install(it, 'locals/x', { ...THREE, d: { ...APP, ...POOLED } }, pools);
    it.world.troubles.set('ipam.allocate d', 'refuse');
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', 'A container could not be started');
    await it.until(async () => !('d' in (await it.rows())));
    assert.deepEqual(it.reboots, []);
  });

  it('because its state is wrong is not installed', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', { ...THREE, b: { ...APP, network: { pool: 'does-not-exist' } } });
    const before = await pids(it);
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', 'State JSON has bad format');
    const { status, logs } = await progressOf(it, 'locals/x');
    assert.equal(status, 'WONTGO');
    assert.match(logs ?? '', /unknown pool 'does-not-exist'/);
    assert.deepEqual(await pids(it), before);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
  });

  it('because an object is damaged is not installed', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', { ...THREE, d: APP });
    writeFileSync(join(it.storage, 'objects', sha256('root of d')), 'rotten');
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', 'Object validation went wrong');
    assert.deepEqual(Object.keys(await it.rows()), ['a', 'b', 'c']);
  });
});

describe('a restart of the tree whose disk takes nothing', () => {
  const full = (): never => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  };
  const reasons = async (it: Device) => (await health(it)).map(({ code }) => code);

  it('leaves containers alone that run of a committed update, and is a reason in health until it takes something', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', { ...CHANGED_B, d: APP });
    await updateLive(it, 'locals/x');
    const before = await pids(it);
    it.onBootWrite = full;
    await (await it.boot({ tree: true })).settled;
    assert.deepEqual(await pids(it), before);
    assert.deepEqual(await reasons(it), ['BOOT_UNWRITABLE']);
    it.onBootWrite = () => undefined;
    await install(it, 'locals/y', THREE);
    await updateLive(it, 'locals/y');
    assert.deepEqual(await reasons(it), []);
  });

  it('goes on with the trial of what runs', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', { ...CHANGED_B, d: APP });
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await it.untilStatus('d', 'STARTED');
    const before = await pids(it);
    it.onBootWrite = full;
    await (await it.boot({ tree: true })).settled;
    assert.deepEqual(await pids(it), before);
    it.onBootWrite = () => undefined;
    // Since when it holds may be what the disk did not take.
    await eventually('it is committed', PATIENCE_MS, async () => {
      if ((await progressOf(it, 'locals/x'))['status-msg'] === UPDATED) return true;
      it.clock.advance(TRIAL.commitDelayMs);
      return false;
    });
  });

  it('runs what was committed before where nothing is left of what was tried', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    it.onBootWrite = full;
    const runner = await it.boot({ cut: true });
    await runner.settled;
    assert.equal(runner.revision, '0');
  });

  for (const way of ['updated', 'to be tried'] as const) {
    it(`keeps what was ${way} until a start that can write it down`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', CHANGED_B);
      await install(it, 'locals/old', THREE);
      if (way === 'updated') await updateLive(it, 'locals/x');
      else {
        await command(it, 'LOCAL_RUN_COMMIT', 'locals/x');
        await it.until(() => it.reboots.length > 0);
      }
      const { reboots } = it;
      const asked = reboots.length;
      it.onBootWrite = full;
      const runner = await it.boot({ cut: true });
      await runner.settled;
      await it.untilStatus('b', 'STARTED');
      assert.equal(runner.revision, '0');
      it.clock.advance(GARBAGE_DEFER_MS);
      assert.ok((await it.state.collectGarbage({})).ok);
      assert.ok(existsSync(join(it.storage, 'trails/locals/x')));
      assert.ok(!existsSync(join(it.storage, 'trails/locals/old')));
      it.onBootWrite = () => undefined;
      it.clock.advance(5000);
      await eventually('there is room', PATIENCE_MS, async () => (await reasons(it)).length === 0);
      assert.deepEqual(onDisk(it).trying, { revision: 'locals/x', way: 'reboot', once: false });
      assert.notEqual((await progressOf(it, 'locals/x')).status, 'ERROR');
      assert.equal(reboots.length, asked);
      await it.boot({ cut: true });
      await reaches(it, 'locals/x', TESTING);
      await commits(it, 'locals/x', DONE);
    });
  }

  it('does not ask for a reboot that has come', async () => {
    const it = await open(THREE);
    writeFileSync(join(it.storage, 'boot/current.json'), JSON.stringify({ ...onDisk(it), leaving: true }));
    it.onBootWrite = full;
    await (await it.boot({ cut: true })).settled;
    assert.deepEqual(it.reboots, []);
  });
});
