// The hooks that make /dev/log, run as LXC runs them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { devLog } from '../../services/lxc-svc/dev-log.ts';

describe('lxc-svc.devLog where lxc.autodev is 0', () => {
  let folder: string;
  let root: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-dev log-'));
    root = join(folder, 'root');
    mkdirSync(root);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** In a mount namespace of its own. */
  const runHook = (before = ':', afterwards = ':'): void => {
    const { entries } = devLog(
      { entries: [{ key: 'lxc.autodev', value: '0' }], sources: [], notes: [] },
      { devLog: true },
    );
    const hook = entries.find(({ key }) => key === 'lxc.hook.mount')?.value ?? assert.fail('no hook');
    const env = { PATH: process.env.PATH, LXC_ROOTFS_MOUNT: root };
    const { status, stderr } = spawnSync(
      'unshare',
      ['-m', 'sh', '-c', `${before} && ${hook} one lxc mount && ${afterwards}`],
      {
        env,
        encoding: 'utf8',
      },
    );
    assert.equal(status, 0, stderr);
  };

  it('links it in a /dev of the root file system', () => {
    mkdirSync(join(root, 'dev'));
    for (const _ of [1, 2]) {
      runHook();
      assert.equal(readlinkSync(join(root, 'dev/log')), '/pantavisor/dev-log');
    }
  });

  it('starts a container without a /dev no less', () => {
    runHook();
    assert.deepEqual(readdirSync(root), []);
  });

  it('leaves alone what is there, also a link that leads nowhere', () => {
    mkdirSync(join(root, 'dev'));
    symlinkSync('/run/systemd/journal/dev-log', join(root, 'dev/log'));
    runHook();
    assert.equal(readlinkSync(join(root, 'dev/log')), '/run/systemd/journal/dev-log');
    rmSync(join(root, 'dev/log'));
    writeFileSync(join(root, 'dev/log'), '');
    runHook();
    assert.deepEqual(readdirSync(join(root, 'dev')), ['log']);
  });

  it('follows no link out of the root file system', () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(root, 'dev'));
    runHook();
    assert.deepEqual(readdirSync(outside), []);
  });

  it('puts nothing into a /dev that is mounted, which may be the host’s', () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    mkdirSync(join(root, 'dev'));
    const [own, its] = [`'${outside}'`, '"$LXC_ROOTFS_MOUNT/dev"'];
    runHook(`mount -t tmpfs tmpfs ${own} && mount --bind ${own} ${its}`, `ls -A ${own} >'${folder}/seen'`);
    assert.equal(readFileSync(join(folder, 'seen'), 'utf8'), '');
  });
});
