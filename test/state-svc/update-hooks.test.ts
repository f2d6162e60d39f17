// When hooks are told what, and what becomes of starts and updates when one fails.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { createDevice, type Device, POOL, stateOf, writeRevision } from './device.ts';
import { APP, FAILED, useDevices } from './kit.ts';
import {
  CHANGED_B,
  command,
  commits,
  DONE,
  deviceForEach,
  holds,
  install,
  onDisk,
  progressOf,
  reaches,
  rot,
  TESTING,
  TESTING_LIVE,
  THREE,
  UPDATED,
  updateLive,
} from './updates-kit.ts';

const open = deviceForEach();
const openDevice = useDevices();
const SYSTEM = { s: { group: 'platform' } };
const CHANGED = { s: { group: 'platform', logs: [] } };

const told = ({ world }: Device) => world.hooks.map(({ event, revision }) => `${event} ${revision}`);
const tellsDone = (it: Device, revision: string) => it.until(() => told(it).includes(`system-done ${revision}`));

async function toReboot(it: Device): Promise<void> {
  await install(it, 'locals/x', CHANGED);
  await command(it, 'LOCAL_RUN', 'locals/x');
  await it.until(() => it.reboots.length > 0);
  await reaches(it, 'locals/x', 'Rebooting');
}

describe('hooks of a start', () => {
  it('come before anything is asked for, and again when every goal is met', async () => {
    const it = await open(THREE);
    await tellsDone(it, '0');
    const calls = it.world.calls.filter((call) => !call.startsWith('log.'));
    assert.equal(calls[0], 'hooks.system-start 0');
    assert.ok(calls.indexOf('hooks.system-done 0') > calls.indexOf('lxc.start c'));
    const about = { revision: '0', tried: '', tryBoot: false, life: 'first' };
    assert.deepEqual(it.world.hooks, [
      { event: 'system-start', ...about, status: 'NEW' },
      { event: 'system-done', ...about, status: it.world.hooks[1]?.status },
    ]);
  });

  it('are told that the revision is new where it cannot be read how far it has come', async () => {
    const it = await openDevice(THREE);
    mkdirSync(join(it.storage, 'trails/0/.pv/progress'), { recursive: true });
    await it.boot();
    for (const name of Object.keys(THREE)) await it.untilStatus(name, 'STARTED');
    assert.equal(it.world.hooks[0]?.status, 'NEW');
    assert.ok(it.lines.some((line) => /^warn .*progress.*EISDIR/.test(line)));
    // What cannot be written down, either, is told all the same.
    await reaches(it, '0', 'Factory revision');
  });

  it('are no start while containers of before are there', async () => {
    const it = await open(THREE);
    await tellsDone(it, '0');
    await (await it.boot()).settled;
    await it.until(() => told(it).length > 2);
    assert.deepEqual(told(it), ['system-start 0', 'system-done 0', 'system-done 0']);
  });

  it('that fail keep everything from starting, are a reason in health, and reboot', async () => {
    const it = await createDevice(THREE);
    try {
      it.world.troubles.set('hooks.system-start 0', 'refuse');
      const runner = await it.boot();
      await runner.settled;
      assert.ok(!it.world.calls.some((call) => call.startsWith('lxc.')));
      assert.match(JSON.stringify(runner.health()), /hook 10-check for system-start failed: it ended with exit code 1/);
      await it.until(() => it.reboots.includes('HOOK_FAILED'));
      // What was wrong is put right.
      it.world.troubles.clear();
      await (await it.boot({ cut: true })).settled;
      await it.untilStatus('a', 'STARTED');
    } finally {
      await it.close();
    }
  });

  it('wait for a lxc-svc that is away', async () => {
    const it = await createDevice(THREE);
    try {
      it.world.troubles.set('hooks.system-start 0', 'die');
      await (await it.boot()).settled;
      await it.untilStatus('a', 'STARTED');
      assert.deepEqual(told(it).slice(0, 2), ['system-start 0', 'system-start 0']);
    } finally {
      await it.close();
    }
  });

  it('at its end cost nothing when they fail', async () => {
    const it = await createDevice(THREE);
    try {
      it.world.troubles.set('hooks.system-done 0', 'refuse');
      await it.boot();
      await it.until(() => it.lines.includes('warn hook 10-check for system-done failed: it ended with exit code 1'));
      await it.untilStatus('a', 'STARTED');
      assert.deepEqual(it.reboots, []);
    } finally {
      await it.close();
    }
  });
});

describe('hooks of a start that an update follows', () => {
  const started = (it: Device) => told(it).filter((each) => each.startsWith('system-start'));
  /** A boot that refuses what is to run before hooks are asked, and is followed by no reboot. */
  const refused = async (): Promise<Device> => {
    const it = await openDevice(THREE, {});
    it.onReboot = () => false;
    rot(it, 'root of a');
    await (await it.boot()).settled;
    await install(it, 'locals/x', { b: APP, c: APP, d: APP });
    return it;
  };

  it('come once, before its first container, where the revision was refused before them', async () => {
    const it = await refused();
    assert.deepEqual(told(it), []);
    await updateLive(it, 'locals/x');
    assert.deepEqual(started(it), ['system-start locals/x']);
    const first = it.world.calls.findIndex((call) => call.startsWith('lxc.mount'));
    assert.ok(it.world.calls.indexOf('hooks.system-start locals/x') < first);
    await install(it, 'locals/y', CHANGED_B);
    await updateLive(it, 'locals/y');
    assert.equal(started(it).length, 1);
  });

  it('keep it from starting anything when they fail', async () => {
    const it = await refused();
    for (const revision of ['0', 'locals/x']) it.world.troubles.set(`hooks.system-start ${revision}`, 'refuse');
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    await reaches(it, 'locals/x', 'Unexpected rollback');
    assert.ok(!it.world.calls.some((call) => /^lxc.(?:mount|start)/.test(call)));
  });

  it('are no start’s where containers of before were there, also when the update stops them all', async () => {
    const it = await open({ a: APP, b: APP });
    await tellsDone(it, '0');
    it.onReboot = () => false;
    rot(it, 'root of a');
    await (await it.boot({ tree: true })).settled;
    await install(it, 'locals/x', { b: CHANGED_B.b });
    await updateLive(it, 'locals/x');
    assert.deepEqual(started(it), ['system-start 0']);
  });

  it('do not come again where the revision was refused after them', async () => {
    const it = await openDevice(THREE);
    it.onReboot = () => false;
    it.world.addressTaken = true;
    await (await it.boot()).settled;
    it.world.addressTaken = false;
    await install(it, 'locals/x', CHANGED_B, { network: { pools: { internal: POOL } } });
    await updateLive(it, 'locals/x');
    assert.deepEqual(started(it), ['system-start 0']);
  });
});

describe('hooks of an update', () => {
  it('are told of a live one before it begins, and when it runs; there is no boot that could be done', async () => {
    const it = await open(THREE);
    await tellsDone(it, '0');
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    await tellsDone(it, 'locals/x');
    assert.deepEqual(told(it).slice(2), ['system-install-update 0', 'system-done locals/x']);
    assert.equal(it.world.hooks[2]?.tried, 'locals/x');
    assert.deepEqual([it.world.hooks[3]?.tried, it.world.hooks[3]?.tryBoot], ['', false]);
  });

  it('that fail at its installation end it, with what they said, and nothing was touched', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    it.world.troubles.set('hooks.system-install-update 0', 'refuse');
    const before = onDisk(it);
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', 'Internal error');
    const { logs } = await progressOf(it, 'locals/x');
    const lines = (logs ?? '')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ lvl, src, msg }) => [lvl, src, msg]),
      [
        ['ERROR', '10-check', 'no key here'],
        [
          'ERROR',
          'state',
          'revision locals/x is not installed: hook 10-check for system-install-update failed: it ended with exit code 1',
        ],
      ],
    );
    await eventually('nothing is asked for', PATIENCE_MS, () => onDisk(it).asked === undefined);
    assert.deepEqual(onDisk(it), before);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
  });

  it('are told at the boot of what is tried that it is tried, and when it is to be the rollback point', async () => {
    const it = await open(SYSTEM);
    await toReboot(it);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await tellsDone(it, 'locals/x');
    await commits(it, 'locals/x', DONE);
    const since = it.world.hooks.slice(told(it).indexOf('system-start locals/x'));
    assert.deepEqual(
      since.map(({ event, revision, tried, tryBoot }) => [event, revision, tried, tryBoot]),
      [
        ['system-start', 'locals/x', 'locals/x', true],
        ['system-done', 'locals/x', 'locals/x', true],
        ['system-boot-done', 'locals/x', '', true],
      ],
    );
    assert.equal(since[0]?.status, 'INPROGRESS');
  });

  for (const event of ['system-start', 'system-boot-done'] as const) {
    it(`that fail at ${event} go back to what was committed, and say why`, async () => {
      const it = await open(SYSTEM);
      await toReboot(it);
      it.world.troubles.set(`hooks.${event} locals/x`, 'refuse');
      await it.boot({ cut: true });
      if (event === 'system-boot-done') {
        await reaches(it, 'locals/x', TESTING);
        await holds(it);
      }
      await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
      await reaches(it, 'locals/x', 'Unexpected rollback');
      const { logs } = await progressOf(it, 'locals/x');
      assert.match(logs ?? '', /"src":"10-check","msg":"no key here"/);
      assert.match(logs ?? '', new RegExp(`hook 10-check for ${event} failed`));
      assert.equal(onDisk(it).revision, '0');
      await it.boot({ cut: true });
      await it.untilStatus('s', 'STARTED');
      assert.equal(it.world.containers.get('s')?.revision, '0');
    });
  }

  it('have the last word, but not over a container that ended meanwhile', async () => {
    const it = await open({ s: { group: 'platform', auto_recovery: { policy: 'no' } } });
    await install(it, 'locals/x', { s: { group: 'platform', auto_recovery: { policy: 'no' }, logs: [] } });
    await command(it, 'LOCAL_RUN', 'locals/x');
    await it.until(() => it.reboots.length > 0);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    const release = it.world.hold('hooks.system-boot-done');
    await holds(it);
    await it.until(() => told(it).includes('system-boot-done locals/x'));
    it.world.exit('s', FAILED);
    await it.untilStatus('s', 'STOPPED');
    release();
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    await reaches(it, 'locals/x', 'A container could not be started');
    assert.equal(onDisk(it).revision, '0');
  });

  it('are not told of a rollback point where none is set: of what is tried once', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    await command(it, 'TRY_ONCE', 'locals/x');
    await it.until(() => it.reboots.length > 0);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING_LIVE);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
    assert.ok(!told(it).includes('system-boot-done locals/x'));
  });

  it('that are away at the commit are asked again', async () => {
    const it = await open(SYSTEM);
    await toReboot(it);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    it.world.troubles.set('hooks.system-boot-done locals/x', 'throw');
    await holds(it);
    await it.until(() => it.lines.some((line) => line.startsWith('error hooks for system-boot-done')));
    assert.equal(onDisk(it).revision, '0');
    it.world.troubles.clear();
    await commits(it, 'locals/x', DONE);
  });

  it('are asked at the boot after a live update, which tries it once more', async () => {
    const it = await open({ ...THREE, d: APP });
    await writeRevision(it.storage, 'locals/x', stateOf({ ...CHANGED_B, d: APP }, {}));
    await updateLive(it, 'locals/x');
    await reaches(it, 'locals/x', UPDATED);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await commits(it, 'locals/x', DONE);
    assert.equal(told(it).filter((each) => each === 'system-boot-done locals/x').length, 1);
  });
});
