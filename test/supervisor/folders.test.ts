// The folders that services own: made, given to their users, and nothing else touched.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ALL_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { giveStorage, prepareFolders } from '../../services/supervisor/folders.ts';
import { resolveUid } from '../../shared/service/users.ts';

/** A user inside a container. */
const GUEST = 1234;

describe('supervisor.folders', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-folders-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const places = () => ({ rundir: join(folder, 'run'), storage: join(folder, 'storage'), program: '/' });
  const prepare = (): void => {
    const left = prepareFolders(ALL_CONTRACTS, ({ privileges }) => resolveUid(privileges.user), places());
    assert.deepEqual(left, []);
  };
  const fileOf = (uid: number, ...path: readonly string[]): string => {
    const file = join(folder, ...path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '');
    chownSync(file, uid, uid);
    return file;
  };

  it('gives storage with all that is in it, whoever packed it', () => {
    const object = fileOf(0, 'storage/objects/ab');
    prepare();
    assert.equal(statSync(object).uid, resolveUid('berth-state'));
    assert.equal(statSync(join(folder, 'storage/ipam')).uid, resolveUid('berth-ipam'));
  });

  it('changes nothing the second time', () => {
    const object = fileOf(0, 'storage/objects/cd');
    prepare();
    const before = statSync(object);
    const incoming = statSync(join(folder, 'storage/objects/incoming'));
    prepare();
    assert.equal(statSync(object).ctimeMs, before.ctimeMs);
    assert.equal(statSync(join(folder, 'storage/objects/incoming')).ctimeMs, incoming.ctimeMs);
  });

  it('opens to its owner, and to services that read it, what Pantavisor closed to all but root', () => {
    const progress = fileOf(0, 'storage/trails/3/.pv/progress');
    const [closed, object] = [fileOf(0, 'storage/cache/usrmeta/key'), fileOf(0, 'storage/objects/ef')];
    // 644 as a decimal number, where there was no such folder before.
    chmodSync(dirname(progress), 0o1204);
    chmodSync(closed, 0);
    chmodSync(object, 0o600);
    const outside = fileOf(0, 'outside');
    chmodSync(outside, 0);
    symlinkSync(outside, join(folder, 'storage/trails/3/link'));
    prepare();
    const modeOf = (path: string): number => statSync(path).mode & 0o7777;
    assert.equal(modeOf(dirname(progress)), 0o1705);
    assert.deepEqual([closed, object, outside].map(modeOf), [0o400, 0o604, 0]);
  });

  it('lets the group of another service write into a folder that is shared with it, also one that this service owned before', () => {
    const half = fileOf(resolveUid('berth-ctl'), 'storage/objects/incoming/half');
    chownSync(dirname(half), resolveUid('berth-ctl'), resolveUid('berth-ctl'));
    prepare();
    const { uid, gid, mode } = statSync(dirname(half));
    assert.deepEqual([uid, gid, mode & 0o7777], [resolveUid('berth-state'), resolveUid('berth-ctl'), 0o2770]);
  });

  it('says which folder it cannot write, why, and what to do', () => {
    const unwritable = { ...places(), storage: fileOf(0, 'plain') };
    const attempt = () => prepareFolders(ALL_CONTRACTS, () => 0, unwritable);
    assert.throws(attempt, /\/plain cannot be prepared \(ENOTDIR: .*--storage/);
  });

  /** Of the kernel's own, as those of a FAT partition: nobody can be given them. */
  const withoutOwners = (place: string, act: () => void): void => {
    mkdirSync(place, { recursive: true });
    execFileSync('mount', ['--bind', '/proc/sys/abi', place]);
    try {
      assert.throws(() => chownSync(place, GUEST, GUEST), { code: 'EPERM' });
      act();
    } finally {
      execFileSync('umount', [place]);
    }
  };

  it('leaves a boot partition without owners as it is, or a read-only one', () => {
    const boot = join(folder, 'storage/boot');
    withoutOwners(boot, prepare);
    assert.equal(statSync(join(folder, 'storage/trails')).uid, resolveUid('berth-state'));
    rmSync(boot, { recursive: true, force: true });
    const record = fileOf(0, 'storage/boot/uboot.txt');
    execFileSync('mount', ['--bind', '-o', 'ro', boot, boot]);
    try {
      prepare();
      assert.equal(statSync(record).uid, 0);
    } finally {
      execFileSync('umount', [boot]);
    }
    prepare();
    assert.equal(statSync(record).uid, resolveUid('berth-state'));
  });

  it('says what to do about a boot partition that root alone can read, and about other folders that have no owners', () => {
    const boot = join(folder, 'closed/boot');
    mkdirSync(boot, { recursive: true, mode: 0o700 });
    const closed = () =>
      prepareFolders(ALL_CONTRACTS, () => resolveUid('berth-state'), { ...places(), storage: dirname(boot) });
    execFileSync('mount', ['--bind', '-o', 'ro', boot, boot]);
    try {
      assert.throws(closed, /boot can be read by root alone.*umask=022/);
    } finally {
      execFileSync('umount', [boot]);
    }
    withoutOwners(join(folder, 'storage/cache'), () => assert.throws(prepare, /EPERM.*--storage/));
  });

  it('gives a service that runs what has come into its storage, and nobody else anything', async () => {
    prepare();
    const mine = [
      fileOf(0, 'storage/trails/locals/x/.pvr/json'),
      fileOf(0, 'storage/objects/12'),
      fileOf(0, 'storage/cache/k'),
    ];
    const notMine = [
      fileOf(0, 'storage/logs/0/x'),
      fileOf(0, 'storage/objects/incoming/half'),
      fileOf(0, 'run/meta/web/k'),
    ];
    const outside = fileOf(0, 'elsewhere/secret');
    symlinkSync(dirname(outside), join(folder, 'storage/trails/locals/link'));
    const left = await giveStorage(
      'state-svc',
      ALL_CONTRACTS,
      ({ privileges }) => resolveUid(privileges.user),
      places(),
    );
    assert.deepEqual(left, []);
    assert.deepEqual(
      mine.map((path) => statSync(path).uid),
      mine.map(() => resolveUid('berth-state')),
    );
    assert.deepEqual(
      [...notMine, outside].map((path) => statSync(path).uid),
      [0, 0, 0, 0],
    );
  });

  it('leaves alone what is in the rundir: roots of containers that run, files of services', () => {
    const inContainer = fileOf(GUEST, 'run/lxc/web/rootfs/home/guest/.profile');
    const ofService = fileOf(resolveUid('berth-net'), 'run/netns/.desired.json');
    prepare();
    assert.equal(statSync(inContainer).uid, GUEST);
    assert.equal(statSync(ofService).uid, resolveUid('berth-net'));
    assert.equal(statSync(join(folder, 'run/netns')).uid, resolveUid('berth-net'));
    assert.equal(statSync(join(folder, 'run')).uid, 0);
  });
});
