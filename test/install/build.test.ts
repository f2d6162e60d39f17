// Which build scripts/install takes, and what it calls it: as whoever upgrades in a clone meets it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { cleanEnvironment } from '../kit/covered-machine.ts';
import { type Image, makeImage, ROOT } from './image.ts';

const PARTS = ['CHANGELOG.md', 'README.md', 'dist', 'package.json', 'scripts', 'services', 'shared'];

describe('scripts/install of a clone', () => {
  let image: Image;
  let clone: string;
  beforeEach(() => {
    image = makeImage();
    clone = mkdtempSync(join(tmpdir(), 'berth-clone-'));
    for (const name of PARTS) symlinkSync(join(ROOT, name), join(clone, name));
  });
  afterEach(() => {
    image.remove();
    rmSync(clone, { recursive: true });
  });

  const change = (name: string, to: (text: string) => string): void => {
    rmSync(join(clone, name));
    writeFileSync(join(clone, name), to(readFileSync(join(ROOT, name), 'utf8')));
  };
  const install = () => {
    const words = ['--destdir', image.root, '--init', 'none'];
    const { status, stderr } = spawnSync(join(clone, 'scripts/install'), words, {
      encoding: 'utf8',
      env: cleanEnvironment({}),
    });
    return { status, stderr };
  };
  const build = (): string => readlinkSync(join(image.root, 'usr/lib/berth/current'));

  it('refuses a build of other sources than those beside it', () => {
    const before = image.list();
    change('package.json', (text) => text.replace('"version": "', '"version": "9.'));
    const { status, stderr } = install();
    assert.equal(status, 1);
    assert.match(stderr, /dist is of other sources than those beside it: .*scripts\/prepare and npm run build/);
    assert.deepEqual(image.list(), before);
  });

  it('gives the same build the same name, whatever its documents say', () => {
    assert.deepEqual(install(), { status: 0, stderr: '' });
    const first = build();
    change('CHANGELOG.md', (text) => `${text}\nA word more.\n`);
    assert.deepEqual(install(), { status: 0, stderr: '' });
    assert.equal(build(), first);
  });

  it('lets the command say which build it is of', () => {
    assert.deepEqual(install(), { status: 0, stderr: '' });
    const program = join(image.root, 'usr/lib/berth/current/berth.js');
    const { stdout } = spawnSync(process.execPath, [program, '--version'], { encoding: 'utf8' });
    assert.match(build(), /^\d+\.\d+\.\d+-[0-9a-f]{12}$/);
    assert.match(stdout, /^\d+\.\d+\.\d+ \(build (\S+)\)\n$/);
    assert.ok(stdout.includes(build()));
  });
});
