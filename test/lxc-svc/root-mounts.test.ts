// Mounts that are to be taken away, and are in use, or not where they were.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readMountTable } from '../../services/lxc-svc/mount-table.ts';
import {
  bindMount,
  mountLayers,
  mountTmpfs,
  unmountBelow,
  unmountOrDetach,
} from '../../services/lxc-svc/root-mounts.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

const atOnce = async (): Promise<void> => undefined;
const isMounted = (target: string): boolean => readMountTable().some((mount) => mount.target === target);

describe('lxc-svc.rootMounts of what is busy', () => {
  const open = (target: string): number => {
    mkdirSync(target);
    mountTmpfs(target);
    writeFileSync(`${target}/used`, '');
    return openSync(`${target}/used`, 'r');
  };

  it('tries again, and takes away what is free by then', async () => {
    const fd = open('/run/shortly');
    // The first try is made before it returns.
    const unmounted = unmountOrDetach('/run/shortly');
    assert.ok(isMounted('/run/shortly'), 'it was busy');
    closeSync(fd);
    assert.equal(await unmounted, true);
    assert.ok(!isMounted('/run/shortly'));
  });

  it('detaches what is busy to the end, and says so', async () => {
    const fd = open('/run/long');
    assert.equal(await unmountOrDetach('/run/long'), false);
    assert.ok(!isMounted('/run/long'));
    closeSync(fd);
  });
});

describe('lxc-svc.rootMounts of a folder that a container writes to', () => {
  it('takes away nothing that a link leads to which is there instead of what was mounted', async () => {
    for (const folder of ['/run/hosts', '/run/hosts/deep']) mountTmpfs(folder);
    mkdirSync('/run/its');
    symlinkSync('/run/hosts', '/run/its/link');
    const before = readMountTable();
    const gone = ['/run/its/link/deep', '/run/its/link'].map((target) => ({
      target,
      type: 'tmpfs',
      source: 'tmpfs',
      superOptions: [],
    }));
    assert.deepEqual(await unmountBelow(['/run/its'], gone, atOnce), { detached: [], failures: [] });
    assert.deepEqual(readMountTable(), before);
  });

  it('takes away a mount and what it was propagated to', async () => {
    for (const folder of ['/run/shared', '/run/shared/one', '/run/shared/two']) mkdirSync(folder);
    mountTmpfs('/run/shared/one');
    execFileSync('mount', ['--make-shared', '/run/shared/one']);
    bindMount('/run/shared/one', '/run/shared/two');
    mkdirSync('/run/shared/one/sub');
    mountTmpfs('/run/shared/one/sub');
    const table = readMountTable();
    assert.ok(isMounted('/run/shared/two/sub'), 'it is propagated');
    assert.deepEqual(await unmountBelow(['/run/shared'], table, atOnce), { detached: [], failures: [] });
    assert.ok(!isMounted('/run/shared/one'));
  });
});

describe('lxc-svc.mountLayers', () => {
  it('says what is wrong with layers of which one lies in another', () => {
    const inner = '/run/layers/outer/inner';
    mkdirSync(inner, { recursive: true });
    const lowers = ['/run/layers/outer', inner];
    const nested = {
      device: 'test',
      target: '/run/layers/on',
      lowers,
      upper: undefined,
      work: undefined,
      layering: [],
    };
    assert.throws(() => mountLayers(nested), /one of its layers lies in another one.* take folders beside each other/);
  });
});
