// Removing a log file: which folders go with it.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { removeFile } from '../../services/log-svc/folder-scan.ts';

describe('log-svc.removeFile', () => {
  let root: string;
  const write = (path: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), 'x');
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'logs-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('takes folders that are empty then, up to the first that is not', () => {
    write('locals/old/web/lxc/console.log.000001');
    write('locals/old/pantavisor/pantavisor.log');
    removeFile(root, 'locals/old/web/lxc/console.log.000001', '1');
    assert.ok(!existsSync(join(root, 'locals/old/web')));
    removeFile(root, 'locals/old/pantavisor/pantavisor.log', '1');
    assert.ok(!existsSync(join(root, 'locals')));
    assert.ok(existsSync(root));
  });

  it('keeps folders of the running revision, which containers have mounted', () => {
    write('1/web/lxc/console.log.000001');
    removeFile(root, '1/web/lxc/console.log.000001', '1');
    assert.ok(existsSync(join(root, '1/web')));
    write('11/web/lxc/console.log.000001');
    removeFile(root, '11/web/lxc/console.log.000001', '1');
    assert.ok(!existsSync(join(root, '11')));
  });
});
