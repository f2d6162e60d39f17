// What `berth pack` leaves in a storage when it does not come to its end, and what it repairs.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { checkPath } from '../../scripts/berth/check-path.ts';
import { writeToStorage } from '../../scripts/berth/pack-storage.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const STATE = { '#spec': 'pantavisor-service-system@1', 'device.json': {} };
const PACKED = { state: STATE, objects: new Map() };

describe('berth pack into a storage', () => {
  let storage: string;
  const write = (revision: string) => writeToStorage(storage, revision, PACKED, false);
  const path = (...parts: string[]) => join(storage, ...parts);
  const current = (): unknown => JSON.parse(readFileSync(path('boot/current.json'), 'utf8'));

  beforeEach(() => {
    storage = mkdtempSync(join(tmpdir(), 'berth-pack-storage-'));
  });
  afterEach(() => rmSync(storage, { recursive: true, force: true }));

  it('names the revision only when it is there', async () => {
    mkdirSync(path('trails'));
    // In the way of the revision's folder.
    writeFileSync(path('trails/locals'), '');
    await assert.rejects(write('locals/first'));
    assert.equal(existsSync(path('boot/current.json')), false);
    rmSync(path('trails/locals'));
    assert.equal(await write('locals/first'), 'written');
    assert.deepEqual(current(), { revision: 'locals/first' });
  });

  it('names another only where the one that is named is gone', async () => {
    await write('0');
    await write('second');
    assert.deepEqual(current(), { revision: '0' });
    rmSync(path('trails/0'), { recursive: true });
    assert.equal(await write('second'), 'unchanged');
    assert.deepEqual(current(), { revision: 'second' });
  });

  it('leaves alone what is said beside the name, and what it cannot read', async () => {
    await write('0');
    for (const text of ['{"revision":"0","more":1}\n', '{"revision":', '[]']) {
      writeFileSync(path('boot/current.json'), text);
      await write('second');
      assert.equal(readFileSync(path('boot/current.json'), 'utf8'), text);
    }
  });

  it('gives what it writes to whom the folders belong, as a Berth that runs there has them, and leaves nothing else', async () => {
    await write('0');
    const OBJECTS = 60_001;
    const TRAILS = 60_002;
    chownSync(path('objects'), OBJECTS, OBJECTS);
    chownSync(path('trails'), TRAILS, TRAILS);
    const digest = sha256('{}');
    const state = { ...STATE, 'one/root.squashfs': digest };
    const objects = new Map([[digest, { text: '{}' }]]);
    await writeToStorage(storage, 'locals/second', { state, objects }, false);
    const owner = (name: string) => [lstatSync(path(name)).uid, lstatSync(path(name)).gid];
    const below = readdirSync(path('trails/locals'), { recursive: true, encoding: 'utf8' });
    assert.ok(below.includes('second/.pvr/json') && below.includes('second/.pv/commitmsg'));
    for (const name of ['', ...below].filter((each) => !each.endsWith('.squashfs'))) {
      assert.deepEqual(owner(join('trails/locals', name)), [TRAILS, TRAILS], name);
    }
    assert.deepEqual(owner(`objects/${digest}`), [OBJECTS, OBJECTS]);
    assert.deepEqual(owner('trails/0/.pvr/json'), [0, 0], 'what was there');
    assert.deepEqual(readdirSync(storage).sort(), ['boot', 'objects', 'trails']);
  });

  it('names it by no file but its own, whatever links are beside it', async () => {
    mkdirSync(path('boot'));
    const BOOT = 60_003;
    chownSync(path('boot'), BOOT, BOOT);
    const others = path('others');
    writeFileSync(others, 'root’s', { mode: 0o600 });
    // Every name that can be told before.
    for (const name of [`current.json.${process.pid}.new`, 'current.json.new']) {
      symlinkSync(others, path('boot', name));
    }
    await write('0');
    assert.equal(readFileSync(others, 'utf8'), 'root’s');
    assert.equal(statSync(others).mode & 0o777, 0o600);
    const { uid, gid, mode } = lstatSync(path('boot/current.json'));
    assert.deepEqual([uid, gid, mode & 0o7777], [BOOT, BOOT, 0o644]);
    assert.deepEqual(current(), { revision: '0' });
  });

  const mounted = async (names: readonly string[], act: () => Promise<void>): Promise<void> => {
    for (const name of names) {
      mkdirSync(path(name));
      execFileSync('mount', ['-t', 'tmpfs', 'berth-pack-test', path(name)]);
    }
    try {
      await act();
    } finally {
      for (const name of names) execFileSync('umount', [path(name)]);
    }
  };

  it('names it also where boot is a mount of its own', () =>
    mounted(['boot'], async () => {
      assert.equal(await write('0'), 'written');
      assert.deepEqual(current(), { revision: '0' });
      assert.deepEqual(readdirSync(path('boot')), ['current.json']);
    }));

  it('says so where no hard link leads from the objects to a revision', () =>
    mounted(['trails'], async () => {
      await assert.rejects(write('0'), ({ message }: Error) => {
        assert.ok(
          message.startsWith(`${path('objects')} and ${path('trails')} are not in one mount, and a revision is`),
        );
        return true;
      });
      assert.deepEqual(readdirSync(storage).sort(), ['boot', 'objects', 'trails']);
    }));

  describe('in which another pack was killed', () => {
    const NAMESPACE = `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}\n`;
    const gone = spawnSync('true').pid;
    const work = (pid: number | string): string => path(`.berth-pack.${pid}`);
    const leave = (pid: number | string, namespace = NAMESPACE): string => {
      mkdirSync(work(pid), { mode: 0o700 });
      writeFileSync(join(work(pid), 'namespace'), namespace);
      return work(pid);
    };

    it('takes away what that one left, and also under its own pid', async () => {
      for (const pid of [gone, process.pid]) leave(pid);
      await write('0');
      assert.deepEqual(readdirSync(storage).sort(), ['boot', 'objects', 'trails']);
    });

    it('leaves alone what is somebody’s who lives, of another user, of an unknown pid, or of another name', async () => {
      const child = spawn('sleep', ['1000']);
      try {
        leave(child.pid ?? 0);
        chownSync(leave(gone), 60_001, 60_001);
        leave(`${gone}.old`);
        leave('x');
        writeFileSync(work('1234567890'), '');
        symlinkSync('/nowhere', work('1234567891'));
        const elsewhere = leave('1234567892', 'another boot\n');
        const before = readdirSync(storage).sort();
        await write('0');
        assert.deepEqual(readdirSync(storage).sort(), [...before, 'boot', 'objects', 'trails']);
        const longAgo = Date.now() / 1000 - 7200;
        utimesSync(elsewhere, longAgo, longAgo);
        await write('0');
        assert.equal(existsSync(elsewhere), false);
      } finally {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    });

    it('does not share a folder with one of the same pid elsewhere', async () => {
      const theirs = leave(process.pid, 'another boot\n');
      await assert.rejects(write('0'), { message: new RegExp(`^${theirs} is somebody else’s`) });
      assert.ok(existsSync(join(theirs, 'namespace')));
    });

    it('puts back the revision that had to make way for one that did not come', async () => {
      await write('0');
      await write('locals/first');
      const left = leave(gone);
      for (const name of ['trail', 'old']) mkdirSync(join(left, name));
      renameSync(path('trails/locals/first'), join(left, 'old/locals%2Ffirst'));
      await write('0');
      assert.ok(existsSync(path('trails/locals/first/.pvr/json')));
      assert.deepEqual(readdirSync(storage).sort(), ['boot', 'objects', 'trails']);
    });

    it('does not put back one whose successor came, and leaves what a former build put there', async () => {
      await write('0');
      mkdirSync(join(leave(gone), 'old/first'), { recursive: true });
      await write('0');
      assert.deepEqual(readdirSync(path('trails')), ['0']);
      const former = leave(gone);
      for (const name of ['trail', 'old/.pvr']) mkdirSync(join(former, name), { recursive: true });
      await write('0');
      assert.ok(existsSync(join(former, 'old/.pvr')));
    });
  });

  describe('whose big folders are on another disk', () => {
    let disk: string;
    beforeEach(() => {
      disk = mkdtempSync('/dev/shm/berth-pack-storage-');
      for (const name of ['objects', 'trails']) {
        mkdirSync(join(disk, name));
        symlinkSync(join(disk, name), path(name));
      }
    });
    afterEach(() => rmSync(disk, { recursive: true, force: true }));

    it('writes there, and leaves nothing else', async () => {
      const digest = sha256('{}');
      const state = { ...STATE, 'one/root.squashfs': digest };
      const objects = new Map([[digest, { text: '{}' }]]);
      const umask = process.umask(0o077);
      try {
        assert.equal(await writeToStorage(storage, '0', { state, objects }, false), 'written');
      } finally {
        process.umask(umask);
      }
      assert.equal(lstatSync(path('trails/0/one/root.squashfs')).ino, lstatSync(path('objects', digest)).ino);
      assert.equal(statSync(path('trails/0/one')).mode & 0o777, 0o755);
      assert.deepEqual(current(), { revision: '0' });
      assert.deepEqual(readdirSync(disk).sort(), ['objects', 'trails']);
      assert.deepEqual(readdirSync(storage).sort(), ['boot', 'objects', 'trails']);
    });

    it('writes nothing where others could take it away', async () => {
      chownSync(disk, 60_001, 60_001);
      await assert.rejects(write('0'), {
        message: `${path('objects')} is a link into ${disk}, where others than root may write; move it`,
      });
      assert.deepEqual(readdirSync(disk).sort(), ['objects', 'trails']);
    });
  });

  it('goes by the file beside boot/ where the device does', async () => {
    await write('0');
    const beside = path('trails/.current.json');
    writeFileSync(beside, '{"revision":"0"}');
    writeFileSync(path('boot/current.json'), '{"revision":"9"}');
    await write('3');
    assert.deepEqual(JSON.parse(readFileSync(beside, 'utf8')), { revision: '0' });
    writeFileSync(beside, '{"revision":"9"}');
    await write('4');
    assert.deepEqual(JSON.parse(readFileSync(beside, 'utf8')), { revision: '4' });
    const checked = await checkPath(storage);
    assert.ok(!('wrong' in checked));
    assert.match(checked.summary, /^revision 4 of storage/);
    assert.deepEqual(current(), { revision: '9' });
    assert.deepEqual(readdirSync(path('trails')).sort(), ['.current.json', '0', '3', '4']);
  });

  it('names none where Pantavisor has left one, which is the one that is checked', async () => {
    await write('0');
    await write('3');
    rmSync(path('boot/current.json'));
    writeFileSync(path('boot/uboot.txt'), 'pv_try=2\0pv_rev=3\0\0\0');
    await write('4');
    assert.equal(existsSync(path('boot/current.json')), false);
    const checked = await checkPath(storage);
    assert.ok(!('wrong' in checked));
    assert.match(checked.summary, /^revision 3 of storage/);
  });
});
