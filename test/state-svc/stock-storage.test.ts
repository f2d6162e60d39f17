// A storage that Pantavisor has left, or of which it is not written which revision ran: what runs then, and what is not removed.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, stateOf, TRIAL, uploadId, writeRevision } from './device.ts';
import { APP, health, useDevices } from './kit.ts';
import { DONE as COMMITTED, command, commits, onDisk, progressOf, reaches, TESTING } from './updates-kit.ts';

const DONE = { status: 'DONE', 'status-msg': 'Update finished', progress: 100, retries: 0 };
const UPDATED = { ...DONE, status: 'UPDATED' };
const REBOOTING = { ...DONE, status: 'INPROGRESS', 'status-msg': 'Rebooting', progress: 95 };

const openDevice = useDevices();

/** Revision 0 has `a`; 2, 3 and 4 have `b`, of which 3 is DONE; 4 has `c` as well, and was being tried. `boot`: contents of files in boot/. */
async function open(
  boot: string | Readonly<Record<string, string>> = {},
  { tried = { ...DONE, status: 'TESTING' }, startedLast = '' } = {},
): Promise<Device> {
  const device = await openDevice({ a: APP }, {});
  const progresses = { 2: { ...DONE, status: 'ERROR' }, 3: DONE, 4: tried };
  for (const [name, progress] of Object.entries(progresses)) {
    await writeRevision(device.storage, name, stateOf(name === '4' ? { b: APP, c: APP } : { b: APP }, {}));
    await mkdir(join(device.storage, 'trails', name, '.pv'));
    await writeFile(join(device.storage, 'trails', name, '.pv/progress'), JSON.stringify(progress));
  }
  await mkdir(join(device.storage, 'boot'));
  for (const [name, text] of Object.entries(typeof boot === 'string' ? { 'uboot.txt': boot } : boot))
    await writeFile(join(device.storage, 'boot', name), text);
  if (startedLast !== '') await symlink(startedLast, join(device.storage, 'trails/current'));
  return device;
}

/** What every image has in boot/uboot.txt. */
const IMAGE = { 'uboot.txt': 'pv_rev=0\n' };

const trails = ({ storage }: Device) => readdirSync(join(storage, 'trails')).filter((name) => name !== 'locals');

async function collected(it: Device, ...left: readonly string[]): Promise<void> {
  const answer = await it.state.collectGarbage({});
  assert.ok(answer.ok, JSON.stringify(answer));
  assert.deepEqual(readdirSync(join(it.storage, 'trails')), left);
}

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
    await collected(it, '3', '4');
  });

  for (const [name, text] of [
    ['rpiab.txt', 'pv_try=\0pv_rev=3\0\0\0'],
    ['efiab.txt', 'pv_rev=3\0pv_try=\0\0\0'],
    ['grubenv', '# GRUB Environment Block\npv_try=9\npv_rev=3\n#######'],
  ] as const) {
    it(`goes on with the revision that ${name} names, not with that of an image's uboot.txt, which stays all the same`, async () => {
      const it = await open({ ...IMAGE, [name]: text }, { startedLast: '3' });
      await (await it.boot()).settled;
      await it.untilStatus('b', 'STARTED');
      assert.deepEqual(await health(it), []);
      await collected(it, '0', '3', 'current');
    });
  }

  for (const [what, startedLast, beside] of [
    ['names another one than 0', '4', ['3', '4']],
    ['is not there', '', ['3']],
    ['leads nowhere', '9', ['3']],
  ] as const) {
    it(`doubts an image's uboot.txt where the link to what ran last ${what}`, async () => {
      const it = await open(IMAGE, { startedLast });
      await (await it.boot()).settled;
      await it.untilStatus('a', 'STARTED');
      assert.deepEqual(
        (await health(it)).map(({ code }) => code),
        ['REVISION_ASSUMED'],
      );
      assert.deepEqual(onDisk(it).assumedBeside, beside);
      assert.ok(!(await it.state.collectGarbage({})).ok);
    });
  }

  it('doubts a record where 0 ran last', async () => {
    const it = await open({ ...IMAGE, 'rpiab.txt': 'pv_rev=3\0' }, { startedLast: '0' });
    await (await it.boot()).settled;
    await it.untilStatus('b', 'STARTED');
    assert.ok(onDisk(it).assumedBeside?.includes('0'));
  });

  it('believes that 0 runs where it was the last that ran, too', async () => {
    const it = await open(IMAGE, { startedLast: '0' });
    await (await it.boot()).settled;
    await it.untilStatus('a', 'STARTED');
    assert.deepEqual(await health(it), []);
  });

  for (const [what, tried, runs] of [
    ['was updated to without a reboot', UPDATED, '4'],
    ['waited for its reboot', REBOOTING, '4'],
  ] as const) {
    it(`tries the revision that ${what}, as its boot loader would`, async () => {
      const it = await open('pv_rev=3\0pv_try=4\0', { tried, startedLast: '4' });
      await (await it.boot()).settled;
      await it.untilStatus('c', 'STARTED');
      await reaches(it, runs, TESTING);
      assert.equal(onDisk(it).revision, '3');
      await commits(it, runs, COMMITTED);
      assert.equal(onDisk(it).revision, runs);
      assert.deepEqual(await health(it), []);
    });

    it(`goes back to its rollback point when the revision that ${what} does not stand its trial, and keeps it for the boot loader`, async () => {
      const it = await open('pv_rev=3\0pv_try=4\0', { tried, startedLast: '3' });
      await (await it.boot()).settled;
      await it.untilStatus('c', 'STARTED');
      await (await it.boot({ cut: true })).settled;
      await it.untilStatus('b', 'STARTED');
      assert.equal(onDisk(it).revision, '3');
      assert.deepEqual(onDisk(it).failed, ['4']);
      await collected(it, '3', '4', 'current');
    });
  }

  it('tries the first update of all, of which its boot loader knows no rollback point but the factory revision', async () => {
    const it = await open({ ...IMAGE, 'rpiab.txt': 'pv_try=4\0' }, { tried: UPDATED, startedLast: '4' });
    await (await it.boot()).settled;
    await it.untilStatus('c', 'STARTED');
    assert.equal(onDisk(it).revision, '0');
    assert.equal(onDisk(it).trying.revision, '4');
  });

  it('tries nothing while it is in doubt: the commit would be taken for an answer', async () => {
    const it = await open('pv_rev=3\0pv_try=4\0', { tried: UPDATED, startedLast: '2' });
    await (await it.boot()).settled;
    await it.untilStatus('b', 'STARTED');
    assert.deepEqual(onDisk(it).assumedBeside, ['4', '2']);
    assert.equal(onDisk(it).trying, undefined);
    assert.ok(!(await it.state.collectGarbage({})).ok);
  });

  it('keeps what its boot loader boots, whatever has become of the device since, and says so once', async () => {
    const it = await open('pv_rev=3\0', { startedLast: '2' });
    await writeRevision(it.storage, 'locals/mine', stateOf({ b: APP, c: APP }, {}));
    await writeFile(join(it.storage, 'boot/current.json'), '{"revision":"locals/mine"}');
    await (await it.boot()).settled;
    await it.untilStatus('c', 'STARTED');
    await collected(it, '2', '3', 'current', 'locals');
    await collected(it, '2', '3', 'current', 'locals');
    const told = it.lines.filter((line) => line.includes('the boot loader or Pantavisor may boot it'));
    assert.deepEqual(told.length, 1, told.join('\n'));
    assert.match(told[0] ?? '', /revision 3, 2$/);
  });

  it('replaces no revision that its boot loader boots', async () => {
    const it = await open('pv_rev=locals/stock\0');
    await writeRevision(it.storage, 'locals/stock', stateOf({ b: APP }, {}));
    await writeFile(join(it.storage, 'boot/current.json'), '{"revision":"3"}');
    await (await it.boot()).settled;
    const id = uploadId();
    const began = await it.state.beginUpload({ id });
    assert.ok(began.ok && began.value.kind === 'upload');
    await writeFile(began.value.path, JSON.stringify(stateOf({ b: APP }, { network: {} }).document));
    const put = await it.state.putStep({ name: 'locals/stock', id });
    assert.equal(!put.ok && put.error.code, 'STEP_IN_USE');
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
