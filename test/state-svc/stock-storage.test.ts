// A storage that Pantavisor has left, or of which it is not written which revision ran: what runs then, and what is not removed.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, stateOf, TRIAL, writeRevision } from './device.ts';
import { APP, health, useDevices } from './kit.ts';
import { command, onDisk, progressOf } from './updates-kit.ts';

const DONE = { status: 'DONE', 'status-msg': 'Update finished', progress: 100, retries: 0 };

const openDevice = useDevices();

/** Revision 0 has `a`; 2, 3 and 4 have `b`, of which 3 is DONE and 4 was being tried. */
async function open(uboot?: string): Promise<Device> {
  const device = await openDevice({ a: APP }, {});
  const progresses = { 2: { ...DONE, status: 'ERROR' }, 3: DONE, 4: { ...DONE, status: 'TESTING' } };
  for (const [name, progress] of Object.entries(progresses)) {
    await writeRevision(device.storage, name, stateOf({ b: APP }, {}));
    await mkdir(join(device.storage, 'trails', name, '.pv'));
    await writeFile(join(device.storage, 'trails', name, '.pv/progress'), JSON.stringify(progress));
  }
  await mkdir(join(device.storage, 'boot'));
  if (uboot !== undefined) await writeFile(join(device.storage, 'boot/uboot.txt'), uboot);
  return device;
}

const trails = ({ storage }: Device) => readdirSync(join(storage, 'trails')).filter((name) => name !== 'locals');

async function commit(it: Device, revision: string): Promise<void> {
  assert.equal(await command(it, 'LOCAL_RUN', revision), 'accepted');
  await eventually(`${revision} is committed`, PATIENCE_MS, async () => {
    if (onDisk(it).trying?.started?.heldSinceMs !== undefined) it.clock.advance(TRIAL.commitDelayMs);
    // It is on disk before it holds.
    return !(await health(it)).some(({ code }) => code === 'REVISION_ASSUMED');
  });
}

describe('a storage that Pantavisor has left', () => {
  it('goes on with the revision that U-Boot was told, and what was tried beside it counts for nothing', async () => {
    const it = await open('pv_try=4\0pv_rev=3\0\0\0\0');
    await (await it.boot()).settled;
    await it.untilStatus('b', 'STARTED');
    assert.equal(onDisk(it).revision, '3');
    assert.deepEqual((await it.state.health({})).ok && (await it.state.health({})), {
      ok: true,
      value: { reasons: [] },
    });
    assert.ok((await it.state.collectGarbage({})).ok);
    assert.deepEqual(trails(it), ['3']);
  });

  it('takes its link to the running revision for no revision of its own', async () => {
    const it = await open('pv_rev=3\0');
    for (const [link, target] of [
      ['current', '3'],
      ['locals/current', '../3'],
    ] as const) {
      await mkdir(join(it.storage, 'trails/locals'), { recursive: true });
      await symlink(target, join(it.storage, 'trails', link));
    }
    await (await it.boot()).settled;
    await it.untilStatus('b', 'STARTED');
    // Told last of what was left, behind the start.
    await eventually('4 is told to be lost', PATIENCE_MS, async () => (await progressOf(it, '4')).status === 'ERROR');
    const listed = await it.state.listSteps({});
    assert.deepEqual(listed.ok && listed.value.steps.map(({ name, progress }) => [name, progress.status]), [
      ['0', 'NEW'],
      ['2', 'ERROR'],
      ['3', 'DONE'],
      ['4', 'ERROR'],
    ]);
    assert.equal(await command(it, 'LOCAL_RUN', 'current'), 'NO_SUCH_STEP');
    assert.equal(await command(it, 'MAKE_FACTORY', 'locals/current'), 'NO_SUCH_STEP');
    assert.ok((await it.state.collectGarbage({})).ok);
    assert.deepEqual(trails(it), ['3', 'current']);
  });

  for (const [what, uboot] of [
    ['where nothing says which revision ran', undefined],
    ['where the one that is named is gone', 'pv_rev=9\0'],
    ['where a name is none', 'pv_rev=../3\0'],
  ] as const) {
    it(`runs 0 ${what}, says so over restarts, and removes nothing`, async () => {
      const it = await open(uboot);
      for (const how of [{}, {}, { cut: true }]) {
        await (await it.boot(how)).settled;
        await it.untilStatus('a', 'STARTED');
        const health = await it.state.health({});
        assert.ok(health.ok);
        assert.deepEqual(
          health.value.reasons.map(({ code, message }) => [code, /pvcontrol cmd run 3/.test(message)]),
          [['REVISION_ASSUMED', true]],
        );
        const collected = await it.state.collectGarbage({});
        assert.ok(!collected.ok);
        assert.equal(collected.error.code, 'STORE_FAILED');
        assert.deepEqual(trails(it), ['0', '2', '3', '4']);
      }
    });
  }

  for (const revision of ['0', '3']) {
    it(`is in doubt until the user has run the one that is meant: ${revision}`, async () => {
      const it = await open();
      await (await it.boot()).settled;
      await it.untilStatus('a', 'STARTED');
      await commit(it, revision);
      assert.deepEqual(await health(it), []);
      assert.ok((await it.state.collectGarbage({})).ok);
      assert.deepEqual(trails(it), revision === '0' ? ['0'] : ['0', '3']);
    });
  }

  it('names in doubt no link', async () => {
    const it = await open();
    await symlink('3', join(it.storage, 'trails/current'));
    await (await it.boot()).settled;
    await it.untilStatus('a', 'STARTED');
    assert.deepEqual(onDisk(it).assumedBeside, ['3']);
  });

  it('is no other than a new one where nothing else was found good', async () => {
    const it = await open();
    await writeFile(join(it.storage, 'trails/3/.pv/progress'), JSON.stringify({ ...DONE, status: 'WONTGO' }));
    await (await it.boot()).settled;
    await it.untilStatus('a', 'STARTED');
    assert.deepEqual(await it.state.health({}), { ok: true, value: { reasons: [] } });
  });
});
