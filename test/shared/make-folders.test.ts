// Folders are made with those above them, and what stands in the way is told as the kernel does.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

describe('kernel.makeFolders', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync('/tmp/make-folders-');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('makes what is missing, also behind links, and answers that', () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    const path = join(folder, 'link/a/b');
    assert.deepEqual(makeFolders(path, 0o750), [join(folder, 'link/a'), path]);
    assert.equal(statSync(join(folder, 'real/a/b')).mode & 0o777, 0o750);
    assert.deepEqual(makeFolders(path), []);
  });

  it('says what is in the way, and where', () => {
    writeFileSync(join(folder, 'file'), '');
    symlinkSync('nowhere', join(folder, 'dangling'));
    const codeAndPath = (path: string) => {
      try {
        return makeFolders(path);
      } catch (error) {
        return error instanceof Error && 'code' in error && 'path' in error ? [error.code, error.path] : error;
      }
    };
    for (const name of ['file', 'dangling']) {
      assert.deepEqual(codeAndPath(join(folder, name)), ['EEXIST', join(folder, name)]);
    }
    assert.equal([codeAndPath(join(folder, 'file/a/b'))].flat()[0], 'ENOTDIR');
    assert.deepEqual(codeAndPath('/proc/nothing/a'), ['ENOENT', '/proc/nothing']);
    const closed = join(folder, 'read-only');
    mkdirSync(closed);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'berth-read-only', closed]);
    assert.deepEqual(codeAndPath(join(closed, 'a/b')), ['EROFS', join(closed, 'a')]);
    execFileSync('umount', [closed]);
  });
});
