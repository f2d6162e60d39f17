// The lists that disks are written in, the names that volumes call them by, and disks of kinds that are not here.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { container, DEVICE, parse, problems, revisionOf, state, warnings } from './states.ts';

type Keys = Readonly<Record<string, unknown>>;
const device = (keys: Keys): Keys => ({ 'device.json': { ...DEVICE, ...keys } });
const folder = (name: string, more: Keys = {}): Keys => ({
  name,
  type: 'directory',
  path: `/storage/${name}`,
  ...more,
});
const on = (disk: string, persistence = 'permanent') => container('a', { storage: { x: { persistence, disk } } });
const DCP = { name: 'dcp', type: 'dm-crypt-dcp', path: '/storage/crypt/dcp.img,8,dcp_key' };
const DUAL = { name: 'both', type: 'dual', disks: ['one', 'two'], init_order: ['primary', 'create-primary'] };

describe('lists of disks', () => {
  it('are one list, in which the first to say what a disk is counts', () => {
    const lists = {
      disks: [folder('a'), folder('b')],
      disks_v2: [folder('b', { path: '/storage/other' }), folder('c')],
      disks_v3: [folder('c', { type: 'dual' }), folder('d')],
    };
    const { disks, ignored } = revisionOf(state(device(lists)));
    assert.deepEqual(
      disks.map(({ disk, path }) => [disk, path]),
      [
        ['a', 'disks.0'],
        ['b', 'disks.1'],
        ['c', 'disks_v2.1'],
        ['d', 'disks_v3.1'],
      ].map(([name, at]) => [{ kind: 'folder', name, path: `/storage/${name}` }, `device.json.${at}`]),
    );
    assert.deepEqual(ignored, ['device.json.disks_v2.0', 'device.json.disks_v3.0']);
  });

  it('are held to the rules, each at its place, and only the third may have types that nobody knows', () => {
    const wrong = [{ name: 'z', type: 'zfs' }];
    assert.deepEqual(problems(state(device({ disks_v2: wrong }))), ['device.json.disks_v2.0.type BAD_VALUE']);
    assert.deepEqual(problems(state(device({ disks_v3: [folder('a', { path: '/etc' })] }))), [
      'device.json.disks_v3.0.path DISK_PATH',
    ]);
    assert.deepEqual(problems(state(device({ disks_v2: [folder('a'), folder('a')] }))), [
      'device.json.disks_v2.1.name DUPLICATE_DISK',
    ]);
    assert.deepEqual(warnings(state(device({ disks_v3: wrong }))), ['device.json.disks_v3.0.type NOT_SUPPORTED']);
  });
});

describe('a disk that is not supported', () => {
  const disks = { disks: [DCP, folder('data')], disks_v3: [DUAL] };

  it('is warned of, and in nobody’s way who has nothing on it', () => {
    const document = state(device({ ...disks, volumes: { 'pv--devmeta': { persistence: 'permanent', disk: 'dcp' } } }));
    const places = ['device.json.disks.0.mode NOT_SUPPORTED', 'device.json.disks_v3.0.type NOT_SUPPORTED'];
    assert.deepEqual(warnings({ ...document, ...on('data') }), places);
    assert.deepEqual(warnings({ ...document, ...on('dcp', 'boot') }), places);
    assert.deepEqual(
      revisionOf(document).disks.map(({ disk }) => disk.name),
      ['data'],
    );
  });

  it('is refused for each volume on it, by whatever name, with the place and the way out', () => {
    const refused = (lists: Keys, more: Keys): readonly string[] => {
      const parsed = parse(state(device(lists), more));
      return parsed.ok ? [] : parsed.problems.map(({ path, code, message }) => `${path} ${code} ${message}`);
    };
    const [mode] = refused(disks, on('dcp'));
    assert.match(
      mode ?? '',
      /^device\.json\.disks\.0\.mode DISK_UNSUPPORTED is missing; .* write "mainline"; volume 'x' of 'a' is /,
    );
    const [type] = refused(disks, on('both', 'revision'));
    assert.match(
      type ?? '',
      /^device\.json\.disks_v3\.0\.type DISK_UNSUPPORTED is "dual"; .*volume-disk, .*; volume 'x' of 'a'/,
    );
    const nxp = { ...DCP, mode: 'nxp', default: 'yes', aliases: ['secrets'] };
    for (const run of [on('secrets'), container('a', { storage: { x: { persistence: 'permanent' } } })]) {
      assert.match(
        refused({ disks: [nxp] }, run)[0] ?? '',
        /DISK_UNSUPPORTED is "nxp"; .*volume 'x' of 'a' is on disk 'dcp'$/,
      );
    }
  });
});

describe('what a disk says of its mount and its formatting', () => {
  it('is warned of, key by key, since nothing of it is done here', () => {
    const said = {
      mount_target: '/data',
      mount_options: 'MS_NOATIME',
      format_options: '-O ^has_journal',
      mount_ops: 7,
    };
    const silent = { format: 'ext4', path: '/dev/sda5', uuid: 'x', format_options: '', mount_target: null };
    const disks = [
      { name: 'a', type: 'volume-disk', path: '/dev/sda6', ...said },
      { name: 'b', type: 'volume-disk', ...silent },
      { name: 's', type: 'swap-disk', path: '/dev/sda2', format_ops: '-L s' },
      folder('d', { options: 'noatime' }),
    ];
    assert.deepEqual(warnings(state(device({ disks }))), [
      'device.json.disks.0.mount_target NOT_SUPPORTED',
      'device.json.disks.0.mount_options NOT_SUPPORTED',
      'device.json.disks.0.mount_ops NOT_SUPPORTED',
      'device.json.disks.0.format_options NOT_SUPPORTED',
      'device.json.disks.2.format_ops NOT_SUPPORTED',
      'device.json.disks.3.options NOT_SUPPORTED',
    ]);
    const parsed = parse(state(device({ disks })));
    const messages = parsed.ok ? parsed.warnings.map(({ message }) => message) : [];
    assert.match(messages[0] ?? '', /^is "\/data", .*disk 'a'.*lxc\.mount\.entry/);
    assert.match(messages[1] ?? '', /^is "MS_NOATIME", /);
  });
});

describe('names of disks', () => {
  const volumesOf = (document: Keys) => revisionOf(document).containers[0]?.storage;

  it('may be aliases, which lead to the disk itself', () => {
    const disks = [folder('data', { aliases: ['dm-versatile', 'data', 'dm-versatile'] })];
    const storage = volumesOf(state(device({ disks }), on('dm-versatile')));
    assert.deepEqual(storage?.volumes[1], { name: 'x', persistence: 'permanent', disk: 'data' });
    assert.deepEqual(storage?.disks, [{ kind: 'folder', name: 'data', path: '/storage/data' }]);
    const swap = { name: 's', type: 'swap-disk', path: '/dev/sda2', aliases: ['paging'] };
    assert.deepEqual(problems(state(device({ disks: [swap] }), on('paging'))), [
      'a/run.json.storage.x.disk DISK_IS_SWAP',
    ]);
  });

  it('are one disk’s alone, in all lists', () => {
    const shared = { disks: [folder('a', { aliases: ['b', 'c'] })], disks_v2: [folder('b', { aliases: ['c', 'd'] })] };
    assert.deepEqual(problems(state(device(shared))), [
      'device.json.disks.0.aliases.0 DUPLICATE_DISK',
      'device.json.disks_v2.0.aliases.0 DUPLICATE_DISK',
    ]);
    for (const aliases of ['a', [''], [7]]) {
      const [problem] = problems(state(device({ disks: [folder('data', { aliases })] })));
      assert.match(problem ?? '', /^device\.json\.disks\.0\.aliases(?:\.0)? BAD_/);
    }
  });

  it('are those of disks, but for built-in, which is the storage folder itself where no disk has the name', () => {
    const disks = [folder('data', { default: 'yes' })];
    assert.deepEqual(volumesOf(state(device({ disks }), on('built-in')))?.volumes[1], {
      name: 'x',
      persistence: 'permanent',
    });
    assert.deepEqual(problems(state(device({ disks }), on('builtin'))), ['a/run.json.storage.x.disk UNKNOWN_DISK']);
    const own = [folder('built-in')];
    assert.equal(volumesOf(state(device({ disks: own }), on('built-in')))?.volumes[1]?.disk, 'built-in');
  });
});
