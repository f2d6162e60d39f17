// /etc/hostname in root filesystems that mean well, and in some that do not.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { writeHostname } from '../../services/lxc-svc/hostname-file.ts';

let folder = '';
let root = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-hostname-'));
  root = join(folder, 'root');
  mkdirSync(join(root, 'etc'), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));
const written = () => readFileSync(join(root, 'etc/hostname'), 'utf8');

describe('lxc-svc, /etc/hostname', () => {
  it('is written where there is none, and over another', () => {
    assert.equal(writeHostname(root, 'net-server'), undefined);
    assert.equal(written(), 'net-server\n');
    assert.equal(writeHostname(root, 'web'), undefined);
    assert.equal(written(), 'web\n');
  });

  it('is left alone when it says so already, so that nothing is copied up', () => {
    writeHostname(root, 'web');
    utimesSync(join(root, 'etc/hostname'), 1000, 1000);
    assert.equal(writeHostname(root, 'web'), undefined);
    assert.equal(statSync(join(root, 'etc/hostname')).mtimeMs, 1_000_000);
  });

  it('is not written through a link, of the file or of its folder', () => {
    writeFileSync(join(folder, 'precious'), 'untouched');
    symlinkSync(join(folder, 'precious'), join(root, 'etc/hostname'));
    assert.equal(writeHostname(root, 'web'), 'it is no plain file');
    assert.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'untouched');
    rmSync(join(root, 'etc'), { recursive: true });
    mkdirSync(join(folder, 'elsewhere'));
    symlinkSync(join(folder, 'elsewhere'), join(root, 'etc'));
    assert.match(writeHostname(root, 'web') ?? '', /ENOTDIR|ELOOP/);
    assert.equal(existsSync(join(folder, 'elsewhere/hostname')), false);
  });

  it('does not wait for the other end of a pipe', () => {
    execFileSync('mkfifo', [join(root, 'etc/hostname')]);
    assert.equal(writeHostname(root, 'web'), 'it is no plain file');
  });

  it('is nobody’s business in an image without /etc', () => {
    rmSync(join(root, 'etc'), { recursive: true });
    assert.equal(writeHostname(root, 'web'), undefined);
    assert.equal(existsSync(join(root, 'etc')), false);
  });
});
