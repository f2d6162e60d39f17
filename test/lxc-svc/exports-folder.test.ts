import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exportsFolder } from '../../services/lxc-svc/exports-folder.ts';

const said = (value: string) => ({
  settings: [{ key: 'PV_DISK_EXPORTSDIR' as const, value, origin: 'command' as const }],
});

describe('the folder of exports', () => {
  it('is the device’s own where Berth is the device’s, or where somebody says so', () => {
    assert.equal(exportsFolder({ mode: 'appengine' }), undefined);
    assert.equal(exportsFolder({ mode: 'embedded' }), '/exports');
    assert.equal(exportsFolder({ mode: 'appengine', ...said('/srv/exports/') }), '/srv/exports');
  });

  it('is the tree’s for what leads up again, the root, and nothing at all', () => {
    for (const value of ['', '/', '/a/../b']) {
      assert.equal(exportsFolder({ mode: 'embedded', ...said(value) }), undefined, value);
    }
  });
});
