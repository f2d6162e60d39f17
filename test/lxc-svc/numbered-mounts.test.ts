// The table of a container's mounts, which the container makes as long as it likes.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import process from 'node:process';
import { describe, it } from 'node:test';
import { readNumberedMounts } from '../../services/lxc-svc/numbered-mounts.ts';
import { MS_BIND, mount } from '../../shared/kernel/mount.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

describe('lxc-svc.numberedMounts', () => {
  it('of another process are read to their end, or not at all', () => {
    assert.ok(readNumberedMounts(process.pid)?.some(({ target }) => target === '/run'));
    const folder = `/run${`/${'d'.repeat(250)}`.repeat(14)}`;
    mkdirSync(folder, { recursive: true });
    for (let count = 0; count < 400; count += 1) mount(folder, folder, 'none', MS_BIND);
    assert.throws(() => readNumberedMounts(process.pid), /more mounts than are looked through/);
    // Our own are nobody else's to make.
    assert.ok((readNumberedMounts('self') ?? []).filter(({ target }) => target === folder).length === 400);
    assert.equal(readNumberedMounts(2 ** 22 + 1), undefined);
  });
});
