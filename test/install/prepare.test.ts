// What scripts/prepare finds lacking on a machine. Nothing is installed: apt-get is one that writes down what it is asked for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

describe('scripts/prepare', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-prepare-'));
    cpSync(join(ROOT, 'scripts/prepare'), join(folder, 'scripts/prepare'));
    // npm has done its part.
    mkdirSync(join(folder, 'node_modules'));
    for (const name of ['package-lock.json', 'node_modules/.berth-lock']) writeFileSync(join(folder, name), '{}');
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin/apt-get'), '#!/bin/sh\necho "$*" >>"$ASKED"\n');
    chmodSync(join(folder, 'bin/apt-get'), 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** The packages that it installs where `program` is the machine's busybox. */
  const installedWith = (program: string): readonly string[] => {
    const asked = join(folder, 'asked');
    const script = 'mount --bind "$1" /usr/bin/busybox && exec "$2"';
    const { status, stderr } = spawnSync(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', program, join(folder, 'scripts/prepare')],
      {
        encoding: 'utf8',
        env: { PATH: `${join(folder, 'bin')}:${dirname(process.execPath)}:${process.env.PATH}`, ASKED: asked },
      },
    );
    assert.equal(status, 0, stderr);
    return existsSync(asked) ? readFileSync(asked, 'utf8').split(/\s+/) : [];
  };

  it('installs busybox-static where busybox needs libraries, which no container of the examples has', () => {
    assert.ok(installedWith('/bin/sh').includes('busybox-static'));
  });

  it('leaves a busybox that needs none as it is', () => {
    assert.ok(!installedWith('/usr/bin/busybox').includes('busybox-static'));
  });
});
