// Mounts that are in use when they are to be taken away.
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readMountTable } from '../../services/lxc-svc/mount-table.ts';
import { mountTmpfs, unmountOrDetach } from '../../services/lxc-svc/root-mounts.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

describe('lxc-svc.rootMounts of what is busy', () => {
  const isMounted = (target: string): boolean => readMountTable().some((mount) => mount.target === target);
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
