import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ignoredMountHooks } from '../../services/lxc-svc/mount-hooks.ts';

describe('lxc-svc.ignoredMountHooks', () => {
  it('names what is beside Pantavisor’s own, and nothing where there is no such folder', () => {
    const libraries = mkdtempSync(join(tmpdir(), 'berth-mount-hooks-'));
    try {
      const hooks = join(libraries, 'pv/hooks/system.d');
      assert.deepEqual([ignoredMountHooks(undefined), ignoredMountHooks(hooks)], [[], []]);
      const folder = join(libraries, 'pv/hooks_lxc-mount.d');
      mkdirSync(folder, { recursive: true });
      for (const name of ['mdev.sh', 'export.sh', 'remount.sh']) writeFileSync(join(folder, name), '');
      assert.deepEqual(ignoredMountHooks(hooks), []);
      writeFileSync(join(folder, 'camera.sh'), '');
      assert.deepEqual(ignoredMountHooks(hooks), [join(folder, 'camera.sh')]);
    } finally {
      rmSync(libraries, { recursive: true });
    }
  });
});
