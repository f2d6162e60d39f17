// Which revision runs, where the file that says so is damaged, or the disk does not give it.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type BootStore, openBootStore } from '../../services/state-svc/boot-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { spareNames } from '../../shared/kernel/spare-name.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { CURRENT, CURRENT_BESIDE } from '../../shared/revision/current-file.ts';
import { CANNOT_DAMAGE, cutDisk, makeDamagedDisk, mountArguments, repairDisk } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';

describe('the boot store on a damaged disk', { skip: CANNOT_DAMAGE }, () => {
  let folder = '';
  let storage = '';
  beforeEach(() => {
    folder = mkdtempSync('/run/berth-boot-');
    storage = join(folder, 'storage');
    mkdirSync(storage);
  });
  afterEach(async () => {
    await unmount(storage);
    rmSync(folder, { recursive: true });
  });

  const pack = (path: string, text: string, seconds = 1000): void => {
    const packed = join(folder, 'packed', path);
    mkdirSync(dirname(packed), { recursive: true });
    writeFileSync(packed, text);
    utimesSync(packed, seconds, seconds);
  };
  /** `toldSeconds`: when it came that far. They have all come at once. */
  const step = (name: string, status: string, toldSeconds: number): void => {
    pack(`trails/${name}/.pvr/json`, '{}');
    pack(`trails/${name}/.pv/progress`, JSON.stringify({ status }), toldSeconds);
  };
  const open = (...damaged: readonly string[]): BootStore => {
    makeDamagedDisk(join(folder, 'image'), join(folder, 'packed'), damaged);
    execFileSync('mount', mountArguments(join(folder, 'image'), storage));
    return reopen();
  };
  const reopen = (): BootStore => openBootStore(storage, openStepStore(storage, silentLogger), silentLogger);

  it('takes the revision that was found good last, and says that others were', async () => {
    pack(CURRENT, '{"revision":"locals/new"}');
    step('0', 'DONE', 1000);
    step('locals/new', 'DONE', 3000);
    step('locals/old', 'DONE', 2000);
    step('locals/bad', 'ERROR', 4000);
    const boot = open(CURRENT);
    const value = { revision: 'locals/new', assumedBeside: ['locals/old'] };
    assert.deepEqual(await boot.load(), { ok: true, value });
    const [reason] = boot.health();
    assert.equal(reason?.code, 'BOOT_UNREADABLE');
    assert.match(reason.message, /boot\/current\.json cannot be read .*(-74|EBADMSG).*locals\/new is taken.*fsck/);

    await boot.save({ revision: 'locals/new' });
    const again = reopen();
    assert.deepEqual(await again.load(), { ok: true, value: { revision: 'locals/new' } });
    assert.deepEqual(again.health(), []);
  });

  it('takes none whose state cannot be read', async () => {
    pack(CURRENT, '{"revision":"locals/new"}');
    step('0', 'DONE', 1000);
    step('locals/new', 'UPDATED', 3000);
    step('locals/old', 'DONE', 2000);
    const boot = open(CURRENT, 'trails/locals/new/.pvr/json');
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: 'locals/old' } });
  });

  it('takes none whose state is in a bad sector', async () => {
    pack(CURRENT, '{"revision":"locals/new"}');
    step('locals/new', 'UPDATED', 3000);
    step('locals/old', 'DONE', 2000);
    const boot = open(CURRENT);
    // What the kernel has read before it goes on giving.
    for (const path of ['old/.pvr/json', 'old/.pv/progress', 'new/.pv/progress'])
      readFileSync(join(storage, 'trails/locals', path));
    cutDisk(join(folder, 'image'), 'trails/locals/new/.pvr/json', 0);
    assert.throws(() => readFileSync(join(storage, 'trails/locals/new/.pvr/json')), { code: 'EIO' });
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: 'locals/old' } });
  });

  it('takes what Pantavisor left where nothing has been found good', async () => {
    pack(CURRENT, '{"revision":"locals/new"}');
    pack('boot/uboot.txt', 'pv_rev=3\0');
    step('3', 'NEW', 1000);
    const boot = open(CURRENT);
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: '3' } });
  });

  it('does not take what Pantavisor left for what ran since', async () => {
    pack(CURRENT, '{"revision":"locals/new"}');
    pack('boot/uboot.txt', 'pv_rev=3\0');
    step('3', 'DONE', 1000);
    step('locals/new', 'DONE', 3000);
    const boot = open(CURRENT);
    const value = { revision: 'locals/new', assumedBeside: ['3'] };
    assert.deepEqual(await boot.load(), { ok: true, value });
  });

  it('takes that of the factory where nothing else is known', async () => {
    pack(CURRENT, '{"revision":"0"}');
    pack('boot/uboot.txt', 'pv_rev=0\0');
    pack('trails/0/.pvr/json', '{}');
    const boot = open(CURRENT, 'boot/uboot.txt');
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: '0' } });
  });

  it('goes by the others, too, where the file beside boot/ is damaged, names it, and writes beside it', async () => {
    pack(CURRENT, '{"revision":"locals/old"}');
    pack(CURRENT_BESIDE, '{"revision":"locals/old"}');
    step('locals/new', 'DONE', 3000);
    const boot = open(CURRENT_BESIDE);
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: 'locals/new' } });
    const [reason] = boot.health();
    assert.deepEqual([reason?.code, reason?.subject], ['BOOT_UNREADABLE', CURRENT_BESIDE]);
    for (const revision of ['0', 'locals/new']) await boot.save({ revision });
    const again = reopen();
    assert.deepEqual(await again.load(), { ok: true, value: { revision: 'locals/new' } });
    assert.deepEqual(again.health(), []);
    // What is given back says what was.
    await unmount(storage);
    repairDisk(join(folder, 'image'));
    execFileSync('mount', mountArguments(join(folder, 'image'), storage));
    assert.equal(readFileSync(join(storage, CURRENT_BESIDE), 'utf8'), '{"revision":"locals/old"}');
    assert.deepEqual(await reopen().load(), { ok: true, value: { revision: 'locals/new' } });
  });

  it('writes where those beside boot/ are damaged one after the other, and gives up after the last', async () => {
    const files = spareNames(CURRENT_BESIDE);
    for (const file of files) pack(file, '{"revision":"locals/old"}');
    step('locals/new', 'DONE', 3000);
    await assert.rejects(open(...files).save({ revision: 'locals/new' }));
    await unmount(storage);
    rmSync(join(folder, 'packed', files.at(-1) ?? ''));
    await open(...files.slice(0, -1)).save({ revision: 'locals/new' });
    assert.deepEqual(await reopen().load(), { ok: true, value: { revision: 'locals/new' } });
  });

  for (const text of ['', '\0'.repeat(20), '{"revi', '7', '{"revision":"../0"}']) {
    it(`goes by the others where the content is ${JSON.stringify(text)}, and keeps that`, async () => {
      pack(CURRENT, text);
      step('locals/new', 'DONE', 3000);
      const boot = open();
      assert.deepEqual(await boot.load(), { ok: true, value: { revision: 'locals/new' } });
      const [reason] = boot.health();
      assert.equal(reason?.code, 'BOOT_UNREADABLE');
      assert.ok(reason.message.includes(`boot/current.json holds ${JSON.stringify(text)}`), reason.message);
      await boot.save({ revision: 'locals/new' });
      assert.equal(readFileSync(join(storage, `${CURRENT}.damaged`), 'utf8'), text);
      const again = reopen();
      assert.deepEqual(await again.load(), { ok: true, value: { revision: 'locals/new' } });
      assert.deepEqual(again.health(), []);
    });
  }

  it('goes by the name where only the rest of the content is damaged', async () => {
    pack(CURRENT, '{"revision":"locals/old","trying":{"revision":"locals/new","way":"?"}}');
    step('locals/old', 'DONE', 2000);
    step('locals/new', 'DONE', 3000);
    const boot = open();
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: 'locals/old' } });
    assert.match(boot.health()[0]?.message ?? '', /revision locals\/old is taken, which it names/);
  });

  it('refuses to guess where it cannot be seen which revisions there are, and says why', async () => {
    pack(CURRENT, '{"revision":"locals/new"}');
    step('locals/new', 'DONE', 3000);
    const read = await open('trails').load();
    assert.ok(!read.ok);
    const [problem] = read.problems;
    assert.equal(problem?.code, 'BOOT_UNREADABLE');
    assert.match(problem.message, /(-74|EBADMSG).*found good last.*(-74|EBADMSG)/);
  });
});
