// volumes, storage and exports of run.json, and the disks of device.json.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { disk, insidePath, namedVolume } from '../../shared/schema/storage.ts';
import { container, DEVICE, DIGEST, parse, problems, revisionOf, state, warnings } from './states.ts';

type Keys = Readonly<Record<string, unknown>>;
const withDisks = (disks: unknown): Keys => ({ 'device.json': { ...DEVICE, disks } });
const planOf = (run: Keys, ...more: readonly Keys[]) =>
  revisionOf(state(container('a', run), ...more)).containers[0]?.storage;
const diskOf = (document: Keys) => {
  const [first] = revisionOf(state(withDisks([{ name: 'd', ...document }]))).disks;
  return first?.disk;
};
const DATA = { name: 'data', type: 'volume-disk', path: '/storage/data' };

describe('storage of a container', () => {
  it('names every volume with how it is kept and on which disk', () => {
    const run = {
      volumes: ['dm:extra.squashfs', 'extra.squashfs', 'root.squashfs'],
      storage: {
        'docker--etc': { persistence: 'permanent' },
        'docker--rev': { persistence: 'revision', disk: 'other' },
        'docker--boot': { persistence: 'boot', disk: 'other' },
        'docker--any': {},
      },
      exports: ['/var/run/', 'etc/motd'],
    };
    const disks = [
      { ...DATA, default: 'yes' },
      { name: 'other', type: 'volume-disk' },
      { name: 'third', type: 'directory' },
    ];
    assert.deepEqual(planOf(run, withDisks(disks), { 'a/extra.squashfs': DIGEST }), {
      squashfs: ['extra.squashfs'],
      volumes: [
        { name: 'lxc-overlay', persistence: 'boot' },
        { name: 'docker--etc', persistence: 'permanent', disk: 'data' },
        { name: 'docker--rev', persistence: 'revision', disk: 'other' },
        { name: 'docker--boot', persistence: 'boot' },
        { name: 'docker--any', persistence: 'permanent', disk: 'data' },
      ],
      disks: [
        { kind: 'folder', name: 'data', path: '/storage/data' },
        { kind: 'folder', name: 'other' },
      ],
      exports: ['var/run', 'etc/motd'],
    });
  });

  it('keeps a volume that only its configuration mounts, and warns of it', () => {
    const files = {
      'a/lxc.container.conf': ['docker--x/sub', 'docker--x', 'root.squashfs', 'lxc-overlay', '../b', 'y']
        .map((volume) => `lxc.mount.entry = /volumes/a/${volume} mnt none bind 0 0`)
        .concat('lxc.mount.entry = /volumes/b/z mnt none bind 0 0')
        .join('\n'),
    };
    const document = state(container('a', { storage: { y: { persistence: 'boot' } } }));
    assert.deepEqual(warnings(document, files), ['a/lxc.container.conf:1 VOLUME_UNDECLARED']);
    assert.deepEqual(revisionOf(document, files).containers[0]?.storage.volumes.slice(1), [
      { name: 'y', persistence: 'boot' },
      { name: 'docker--x', persistence: 'permanent' },
    ]);
  });

  it('keeps a volume that is only a layer of an overlay, and plans none for layers of others', () => {
    const layers =
      'lowerdir=/volumes/a/root.squashfs/x:/volumes/b/y,upperdir=/volumes/a/ovl/upper,workdir=/volumes/a/ovl/work';
    const files = { 'a/lxc.container.conf': `lxc.mount.entry = overlay x overlay rw,${layers},create=dir 0 0` };
    const document = state(container('a'));
    assert.deepEqual(warnings(document, files), ['a/lxc.container.conf:1 VOLUME_UNDECLARED']);
    const names = revisionOf(document, files).containers[0]?.storage.volumes.map(({ name }) => name);
    assert.deepEqual(names, ['lxc-overlay', 'ovl']);
  });

  it('plans the volume that lxc-svc will look for, however the source is written', () => {
    const sources = [
      '/volumes/a//slashed',
      '/volumes/a/./dotted/sub',
      '/volumes/a/my\\040own',
      '/volumes/a/\u00e9',
      '/volumes/a/',
    ];
    const files = {
      'a/lxc.container.conf': sources.map((source) => `lxc.mount.entry = ${source} m none bind`).join('\n'),
    };
    const document = state(container('a'));
    const names = revisionOf(document, files).containers[0]?.storage.volumes.map(({ name }) => name);
    assert.deepEqual(names, ['lxc-overlay', 'slashed', 'dotted', 'my own']);
    const places = [1, 2, 3, 4].map((line) => `a/lxc.container.conf:${line} VOLUME_UNDECLARED`);
    assert.deepEqual(warnings(document, files), places);
  });

  it('keeps for the boot alone what a packager wrote a path or nothing for, warns of it, and refuses other words', () => {
    const kept = (persistence: unknown) => state(container('a', { storage: { 'docker-ovl': { persistence } } }));
    for (const written of ['/var', '/', '/var/lib\n', 'built-in', '<no value>', '']) {
      const [, volume] = revisionOf(kept(written)).containers[0]?.storage.volumes ?? [];
      assert.deepEqual(volume, { name: 'docker-ovl', persistence: 'boot' });
      assert.deepEqual(warnings(kept(written)), ['a/run.json.storage.docker-ovl.persistence NOT_SUPPORTED']);
    }
    for (const wrong of ['permanently', 'BOOT', 'var', ' ', '<no value> ', 3]) {
      const parsed = parse(kept(wrong));
      const [problem] = parsed.ok ? [] : parsed.problems;
      assert.equal(problem?.path, 'a/run.json.storage.docker-ovl.persistence');
      assert.match(problem.message, /must be /);
    }
    const typo = parse(kept('permanant'));
    assert.match(typo.ok ? '' : (typo.problems[0]?.message ?? ''), /must be "permanent" or "revision" or "boot"$/);
  });

  it('takes a path for a place in the volume of its first part, where Pantavisor has it', () => {
    const storage = {
      'etc/example/': { persistence: 'permanent' },
      '/var/lib/sensor': { persistence: 'revision', disk: 'data' },
      '/var/lib//other': { persistence: 'revision', disk: 'data' },
    };
    const sources = ['/volumes/a/etc/example', '/volumes/a/var/lib/sensor/'];
    const files = {
      'a/lxc.container.conf': sources.map((source) => `lxc.mount.entry = ${source} m none bind`).join('\n'),
    };
    const document = state(withDisks([DATA]), container('a', { storage }));
    assert.deepEqual(warnings(document, files), []);
    assert.deepEqual(revisionOf(document, files).containers[0]?.storage.volumes, [
      { name: 'lxc-overlay', persistence: 'boot' },
      { name: 'etc', persistence: 'permanent' },
      { name: 'var', persistence: 'revision', disk: 'data' },
    ]);
    // They look as if they were paths of the container, and are none.
    assert.deepEqual(warnings(document), [
      'a/run.json.storage.etc/example/ VOLUME_UNMOUNTED',
      'a/run.json.storage./var/lib/sensor VOLUME_UNMOUNTED',
      'a/run.json.storage./var/lib//other VOLUME_UNMOUNTED',
    ]);
  });

  it('refuses places in one volume that are to be kept otherwise, or in the overlay', () => {
    const kept = (storage: object) => problems(state(withDisks([DATA]), container('a', { storage })));
    const permanent = { persistence: 'permanent' };
    assert.deepEqual(kept({ 'etc/a': permanent, etc: permanent, 'etc/b': {} }), []);
    for (const other of [{ persistence: 'boot' }, { ...permanent, disk: 'data' }]) {
      assert.deepEqual(kept({ 'etc/a': permanent, 'etc/b': other }), ['a/run.json.storage.etc/b VOLUME_CONFLICT']);
    }
    assert.deepEqual(kept({ 'lxc-overlay/upper': permanent }), [
      'a/run.json.storage.lxc-overlay/upper VOLUME_CONFLICT',
    ]);
    assert.deepEqual(kept({ 'root.squashfs/etc': permanent }), [
      'a/run.json.storage.root.squashfs/etc VOLUME_CONFLICT',
    ]);
  });

  it('refuses names and paths that lead elsewhere, each at its place', () => {
    const names = ['..', '.', '', 'a/../b', '/', 'a\0b', 'root.squashfs'];
    const storage = Object.fromEntries(names.map((name) => [name, { persistence: 'boot' }]));
    assert.deepEqual([...problems(state(container('a', { storage })))].sort(), [
      'a/run.json.storage. BAD_VALUE',
      'a/run.json.storage.. BAD_VALUE',
      'a/run.json.storage... BAD_VALUE',
      'a/run.json.storage./ BAD_VALUE',
      'a/run.json.storage.a/../b BAD_VALUE',
      'a/run.json.storage.a\\u0000b BAD_VALUE',
      'a/run.json.storage.root.squashfs VOLUME_CONFLICT',
    ]);
    const exports = ['..', 'a/../b', '', '/', './a', 'a//b', 'a\0', 'sound'];
    assert.deepEqual(
      problems(state(container('a', { exports }))),
      exports.slice(0, -1).map((_, index) => `a/run.json.exports.${index} BAD_VALUE`),
    );
    const volumes = ['../x.squashfs', '/x.squashfs', 'x\0.squashfs'];
    assert.deepEqual(
      problems(state(container('a', { volumes }))),
      volumes.map((_, index) => `a/run.json.volumes.${index} BAD_VALUE`),
    );
  });

  it('refuses a volume on swap', () => {
    const swap = { name: 's', type: 'swap-disk', path: '/dev/sda2' };
    const run = { storage: { x: { persistence: 'permanent', disk: 's' } } };
    assert.deepEqual(problems(state(withDisks([swap]), container('a', run))), [
      'a/run.json.storage.x.disk DISK_IS_SWAP',
    ]);
  });
});

describe('disks of device.json', () => {
  it('are what their types say', () => {
    const crypt = '/storage/crypt/disk1.img,8,key1';
    const image = { kind: 'crypt', name: 'd', image: '/storage/crypt/disk1.img', mebibytes: 8, key: 'key1' };
    assert.deepEqual(diskOf({ type: 'dm-crypt-versatile', path: crypt }), { ...image, keySource: 'file' });
    assert.deepEqual(diskOf({ type: 'dm-crypt-caam', path: `-v2 ${crypt}` }), { ...image, keySource: 'caam-tagged' });
    const mainline = { mode: 'mainline', path: crypt };
    assert.deepEqual(diskOf({ type: 'dm-crypt-caam', ...mainline }), { ...image, keySource: 'caam-trusted' });
    assert.deepEqual(diskOf({ type: 'dm-crypt-dcp', ...mainline }), { ...image, keySource: 'dcp-trusted' });
    const size = { provision: 'file', path: '/storage/swap', provision_ops: 'size=1G' };
    const backing = { kind: 'file', path: '/storage/swap', mebibytes: 1024 };
    assert.deepEqual(diskOf({ type: 'swap-disk', ...size }), { kind: 'swap', name: 'd', backing });
    const zram = { provision: 'zram', provision_options: 'disksize=64M comp_algorithm=lz4' };
    assert.deepEqual(diskOf({ type: 'volume-disk', ...zram }), {
      kind: 'fileSystem',
      name: 'd',
      format: 'ext4',
      backing: {
        kind: 'zram',
        settings: [
          ['comp_algorithm', 'lz4'],
          ['disksize', '64M'],
        ],
      },
    });
    assert.deepEqual(diskOf({ type: 'volume-disk', path: '/dev/sda5', format: 'ext3' }), {
      kind: 'fileSystem',
      name: 'd',
      format: 'ext3',
      backing: { kind: 'device', path: '/dev/sda5' },
    });
    assert.deepEqual(diskOf({ type: 'directory', path: '/storage/disks/' }), { kind: 'folder', name: 'd' });
  });

  it('are refused with their place when a path leads elsewhere, or something is missing', () => {
    const refused = (document: Keys): readonly string[] => problems(state(withDisks([{ name: 'd', ...document }])));
    const at = 'device.json.disks.0';
    for (const path of [
      'data',
      './data',
      '/storage/../etc',
      '/etc',
      '/storage/trails/0',
      '/storage',
      '/',
      '/a//b',
      '/a\0b',
    ]) {
      assert.deepEqual(refused({ type: 'volume-disk', path }), [`${at}.path DISK_PATH`], path);
    }
    const cryptPaths = [
      '/storage/a.img',
      '/storage/a.img,0,k',
      '/a.img,8,k',
      '/storage/../a.img,8,k',
      '/storage/a,8,../k',
    ];
    for (const path of [...cryptPaths, '/storage/objects/x,8,k', '/dev/sda1,8,k']) {
      assert.deepEqual(refused({ type: 'dm-crypt-versatile', path }), [`${at}.path DISK_PATH`], path);
    }
    assert.deepEqual(refused({ type: 'dm-crypt-versatile' }), [`${at}.path MISSING`]);
    assert.deepEqual(refused({ type: 'swap-disk', path: '/storage/swap' }), [`${at}.provision_options DISK_OPTIONS`]);
    assert.deepEqual(refused({ type: 'swap-disk', provision: 'zram' }), [`${at}.provision_options DISK_OPTIONS`]);
    const odd = { type: 'swap-disk', provision: 'zram', provision_ops: 'disksize=1M ../reset=1' };
    assert.deepEqual(refused(odd), [`${at}.provision_ops DISK_OPTIONS`]);
    assert.deepEqual(refused({ type: 'volume-disk', path: '/dev/sda5', format: 'btrfs' }), [
      `${at}.format DISK_FORMAT`,
    ]);
    assert.deepEqual(refused({ name: '../x', type: 'volume-disk' }), [`${at}.name BAD_VALUE`]);
  });

  it('share no device, no image and no key with each other', () => {
    const file = (name: string, path: string): Keys => ({
      name,
      type: 'volume-disk',
      path,
      provision: 'file',
      provision_options: 'size=8M',
    });
    const crypt = (name: string, path: string): Keys => ({ name, type: 'dm-crypt-versatile', path });
    const first = [file('a', '/storage/x.img'), { name: 'b', type: 'volume-disk', path: '/dev/sda5' }];
    const second = [crypt('c', '/storage/c/c.img,8,key1'), { ...file('z', '/storage/swap'), type: 'swap-disk' }];
    const apart = [crypt('d', '/storage/c/d.img,8,key2'), crypt('e', '/storage/e/e.img,8,key1')];
    const zram = (name: string): Keys => ({
      name,
      type: 'swap-disk',
      provision: 'zram',
      provision_options: 'disksize=1M',
    });
    const folders = ['f', 'g'].map((name): Keys => ({ name, type: 'directory', path: '/storage/data' }));
    const sound = [...first, ...second, ...apart, zram('h'), zram('i'), ...folders];
    assert.deepEqual(problems(state(withDisks(sound))), []);
    for (const [other, place] of [
      [file('n', '/storage/x.img'), 0],
      [{ name: 'n', type: 'swap-disk', path: '/dev/sda5' }, 1],
      [crypt('n', '/storage/x.img,8,other'), 0],
      [crypt('n', '/storage/c/n.img,8,key1'), 2],
      [{ ...crypt('n', '-v2 /storage/c/n.img,8,key1'), type: 'dm-crypt-caam' }, 2],
      [crypt('n', '/storage/swap,8,other'), 3],
    ] as const) {
      const parsed = parse(state(withDisks([...sound, other])));
      const found = parsed.ok ? [] : parsed.problems;
      assert.deepEqual(
        found.map(({ path, code }) => `${path} ${code}`),
        [`device.json.disks.${sound.length}.path DISK_SHARED`],
        JSON.stringify(other),
      );
      assert.match(found[0]?.message ?? '', new RegExp(`of disk '\\w' \\(device\\.json\\.disks\\.${place}\\.path\\)`));
    }
    const lists = {
      'device.json': { ...DEVICE, disks: [file('a', '/storage/x.img')], disks_v2: [file('b', '/storage/x.img')] },
    };
    assert.deepEqual(problems(state(lists)), ['device.json.disks_v2.0.path DISK_SHARED']);
  });

  it('may hold the runtime’s own volumes, which are kept and do nothing', () => {
    const device = (volumes: unknown): Keys => ({ 'device.json': { ...DEVICE, disks: [DATA], volumes } });
    const sound = { 'pv--devmeta': { persistence: 'permanent', disk: 'data' } };
    assert.deepEqual(revisionOf(state(device(sound))).ignored, ['device.json.volumes.pv--devmeta']);
    assert.deepEqual(problems(state(device({ x: { disk: 'nope' }, y: { persistence: 'ever' }, '../z': {} }))), [
      'device.json.volumes.y.persistence BAD_VALUE',
      'device.json.volumes.x.disk UNKNOWN_DISK',
      'device.json.volumes.../z BAD_VALUE',
    ]);
  });

  it('have one default, which is no swap', () => {
    const sound = { ...DATA, default: 'yes' };
    const second = { name: 'b', type: 'directory', default: 'yes' };
    assert.deepEqual(problems(state(withDisks([sound, second]))), ['device.json.disks.1.default TWO_DEFAULT_DISKS']);
    const lists = { 'device.json': { ...DEVICE, disks: [sound], disks_v2: [second] } };
    assert.deepEqual(problems(state(lists)), ['device.json.disks_v2.0.default TWO_DEFAULT_DISKS']);
    const swap = { name: 's', type: 'swap-disk', path: '/dev/sda2', default: 'yes' };
    assert.deepEqual(problems(state(withDisks([swap]))), ['device.json.disks.0.default SWAP_IS_DEFAULT']);
  });

  it('and volumes that pass fit the contract, whatever is written', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('/storage/a', '/storage/a,8,k', '/dev/x', 'ext4', 'zram', 'size=1M', 'disksize=1M'),
    );
    const types = fc.constantFrom(
      'volume-disk',
      'directory',
      'swap-disk',
      'dm-crypt-versatile',
      'dm-crypt-caam',
      'dm-crypt-dcp',
    );
    const fields = { name: fc.oneof(fc.constant('d'), text), type: types, path: text, format: text, provision: text };
    const disks = fc.array(fc.record({ ...fields, provision_options: text }, { requiredKeys: ['type'] }), {
      maxLength: 3,
    });
    const storage = fc.dictionary(text, fc.record({ disk: text }, { requiredKeys: [] }));
    fc.assert(
      fc.property(disks, storage, fc.array(text), (written, volumes, exports) => {
        const parsed = parse(state(withDisks(written), container('a', { storage: volumes, exports })));
        if (!parsed.ok) return;
        for (const each of parsed.revision.disks) disk.parse(each.disk);
        for (const { storage: plan } of parsed.revision.containers) {
          for (const volume of plan.volumes) namedVolume.parse(volume);
          for (const path of plan.exports) insidePath.parse(path);
        }
      }),
      { numRuns: 500 },
    );
  });
});
