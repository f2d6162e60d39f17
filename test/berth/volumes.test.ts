// PV_PERSISTENCE, PV_VOLUMES and PV_EXPORTS: from what people write to the revision, and what they are told when it is wrong.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { readArguments, runManifest } from '../../scripts/berth/pack-arguments.ts';
import { lxcConfig } from '../../scripts/berth/pack-lxc-config.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';
import { berth, berthWith, createScratch, type Scratch, soundSource } from './program.ts';

let scratch: Scratch;
before(() => {
  scratch = createScratch();
});
after(() => scratch.remove());

const out = (name: string): string => join(scratch.folder, name);
const pack = (...args: string[]) => berthWith(scratch.environment, 'pack', ...args);
const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8'));

const ARGUMENTS = {
  PV_GROUP: 'app',
  PV_PERSISTENCE: {
    'lxc-overlay': 'permanent',
    '/var/lib/app': 'permanent',
    '/var/lib/app/cache': 'boot',
    '/srv': { persistence: 'revision', disk: 'data' },
    spare: 'revision',
  },
  PV_VOLUMES: { '/opt/models': 'models', '/var/lib/app/maps': 'maps.squashfs' },
  PV_EXPORTS: ['/etc', 'var/lib/app/'],
};
const DEVICE = { disks: [{ name: 'data', type: 'volume-disk', path: '/storage/data' }] };

describe('berth pack of volumes', () => {
  it('makes volumes, what keeps them, where they are mounted, and exports', async () => {
    const source = scratch.write('all', {
      'device.json': DEVICE,
      'containers/one/args.json': ARGUMENTS,
      'containers/one/rootfs/init': 'a program\n',
      'containers/one/volumes/models/deep/model': 'a model\n',
      'containers/one/volumes/maps/map': 'a map\n',
    });
    const ran = await pack(source, '-o', out('all-out'));
    assert.deepEqual([ran.exitCode, ran.stderr], [0, '']);
    const trail = join(out('all-out'), 'trails/0');
    const run = Object(json(join(trail, '.pvr/json'))['one/run.json']);
    assert.deepEqual(run.volumes, ['maps.squashfs', 'models.squashfs']);
    assert.deepEqual(run.exports, ['etc', 'var/lib/app']);
    assert.deepEqual(run.storage, {
      'lxc-overlay': { persistence: 'permanent' },
      'docker--var-lib-app': { persistence: 'permanent' },
      'docker--var-lib-app-cache': { persistence: 'boot' },
      'docker--srv': { persistence: 'revision', disk: 'data' },
      spare: { persistence: 'revision' },
    });
    const image = join(trail, 'one/models.squashfs');
    assert.equal(execFileSync('unsquashfs', ['-cat', image, 'deep/model'], { encoding: 'utf8' }), 'a model\n');
    const lines = readFileSync(join(trail, 'one/lxc.container.conf'), 'utf8').split('\n');
    const mounts = lines.filter((line) => line.includes(' /volumes/one/'));
    assert.deepEqual(mounts, [
      'lxc.mount.entry = /volumes/one/models.squashfs opt/models none bind,ro,create=dir 0 0',
      'lxc.mount.entry = /volumes/one/docker--srv srv none bind,create=dir 0 0',
      'lxc.mount.entry = /volumes/one/docker--var-lib-app var/lib/app none bind,create=dir 0 0',
      'lxc.mount.entry = /volumes/one/docker--var-lib-app-cache var/lib/app/cache none bind,create=dir 0 0',
      'lxc.mount.entry = /volumes/one/maps.squashfs var/lib/app/maps none bind,ro,create=dir 0 0',
    ]);
    const checked = await berth('check', out('all-out'));
    assert.deepEqual([checked.exitCode, checked.stderr], [0, '']);

    // A ready image in place of the folder is the same revision.
    rmSync(join(source, 'containers/one/volumes/models'), { recursive: true });
    cpSync(image, join(source, 'containers/one/volumes/models.squashfs'));
    assert.match((await pack(source, '-o', out('all-out'))).stdout, /^unchanged: /);
    assert.deepEqual(scratch.temporaries(), []);
  });

  it('refuses, in one go, all that is missing or wrong in volumes/', async () => {
    const source = scratch.write(
      'wrong',
      soundSource({
        'containers/one/args.json': {
          PV_GROUP: 'app',
          PV_PERSISTENCE: { '/data': { persistence: 'boot', disk: 'nowhere' } },
          PV_VOLUMES: { '/opt': 'modles' },
        },
        'containers/one/volumes/models/model': '',
        'containers/one/volumes/models.squashfs': 'x',
        'containers/one/volumes/README': 'x',
        'containers/one/volumes/root.squashfs': 'x',
      }),
    );
    const ran = await pack(source, '-o', out('wrong-out'));
    assert.equal(ran.exitCode, 1);
    for (const said of [
      /volumes\/README: is neither a folder nor a readable \.squashfs file/,
      /volumes\/models\.squashfs: is there as a folder and as models\.squashfs; keep one of them/,
      /volumes\/root\.squashfs: is no name for a volume/,
      /^containers\/one\/args\.json\.PV_VOLUMES\.\/opt: names 'modles', but .*; there are: models\.squashfs$/m,
      /^one\/run\.json\.storage\.docker--data\.disk: .*disk 'nowhere', which does not exist/m,
    ]) {
      assert.match(ran.stderr, said);
    }
    assert.ok(!readdirSync(scratch.folder).includes('wrong-out'));
  });
});

describe('readArguments of volumes', () => {
  const wrong: readonly (readonly [object, string, string])[] = [
    [{ PV_PERSISTENCE: 'permanent' }, 'PV_PERSISTENCE', 'BAD_VALUE'],
    [{ PV_PERSISTENCE: { '/data': 'forever' } }, 'PV_PERSISTENCE./data', 'BAD_VALUE'],
    [{ PV_PERSISTENCE: { '/data': { disk: 'x' } } }, 'PV_PERSISTENCE./data', 'BAD_VALUE'],
    [{ PV_PERSISTENCE: { 'var/lib': 'boot' } }, 'PV_PERSISTENCE.var/lib', 'BAD_VALUE'],
    [{ PV_PERSISTENCE: { '/': 'boot' } }, 'PV_PERSISTENCE./', 'BAD_VALUE'],
    [{ PV_PERSISTENCE: { '/a/../etc': 'boot' } }, 'PV_PERSISTENCE./a/../etc', 'BAD_VALUE'],
    [{ PV_PERSISTENCE: { '/my data': 'boot' } }, 'PV_PERSISTENCE./my data', 'BAD_VALUE'],
    [{ PV_PERSISTENCE: { '/a-b': 'boot', '/a/b': 'boot' } }, 'PV_PERSISTENCE./a/b', 'VOLUME_TWICE'],
    [{ PV_VOLUMES: ['models'] }, 'PV_VOLUMES', 'BAD_VALUE'],
    [{ PV_VOLUMES: { models: 'models' } }, 'PV_VOLUMES.models', 'BAD_VALUE'],
    [{ PV_VOLUMES: { '/opt': '../models' } }, 'PV_VOLUMES./opt', 'BAD_VALUE'],
    [{ PV_VOLUMES: { '/opt': 'x' }, PV_PERSISTENCE: { '/opt': 'boot' } }, 'PV_VOLUMES./opt', 'VOLUME_TWICE'],
    [{ PV_EXPORTS: ['/etc', '/a/../b'] }, 'PV_EXPORTS', 'BAD_VALUE'],
    [{ PV_EXPORTS: { '/etc': true } }, 'PV_EXPORTS', 'BAD_VALUE'],
  ];
  for (const [document, path, code] of wrong) {
    it(`answers ${code} for ${JSON.stringify(document)}`, () => {
      const { problems } = readArguments(document, 'args.json');
      assert.deepEqual(
        problems.map((problem) => [problem.path, problem.code]),
        [[`args.json.${path}`, code]],
      );
    });
  }

  it('keeps the writable layer for the boot, and writes no exports, where nothing is said', () => {
    const manifest = runManifest('one', readArguments({}, 'args.json').args);
    assert.deepEqual([manifest.storage, manifest.exports], [{ 'lxc-overlay': { persistence: 'boot' } }, undefined]);
    const { args } = readArguments({ PV_EXPORTS: '/etc, var/lib' }, 'args.json');
    assert.deepEqual(runManifest('one', args).exports, ['etc', 'var/lib']);
  });

  it('lets no path or name become another line, field or key of the configuration', () => {
    const word = fc.oneof(
      fc.string(),
      fc.string().map((text) => `/${text}`),
      fc.string().map((text) => `/x\nlxc.init.cmd = ${text}`),
      fc.constantFrom('/a', '/a/b', '/opt/x', 'models'),
    );
    const plain = parseLxcConfig(lxcConfig('one', {}), 'x').entries.length;
    fc.assert(
      fc.property(
        fc.dictionary(word, fc.constantFrom('boot', 'permanent')),
        fc.dictionary(word, word),
        (kept, brought) => {
          const { args, problems } = readArguments({ PV_PERSISTENCE: kept, PV_VOLUMES: brought }, 'args.json');
          fc.pre(problems.length === 0);
          const { entries } = parseLxcConfig(lxcConfig('one', args), 'x');
          const paths = Object.keys(kept).filter((name) => name.startsWith('/'));
          assert.equal(entries.length, plain + paths.length + Object.keys(brought).length);
          for (const { key, value } of entries.filter((entry) => entry.value.startsWith('/volumes/one/'))) {
            if (key === 'lxc.mount.entry') assert.equal(value.split(/\s+/).length, 6);
          }
        },
      ),
    );
  });
});
