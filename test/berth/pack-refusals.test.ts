// What berth pack refuses, before it has written anything.
import assert from 'node:assert/strict';
import { existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { berth, berthWith, createScratch, POOL, type Scratch, soundSource } from './program.ts';

let scratch: Scratch;
before(() => {
  scratch = createScratch();
});
after(() => scratch.remove());

const pack = (...args: string[]) => berthWith(scratch.environment, 'pack', ...args);
const out = (name: string): string => join(scratch.folder, name);

describe('berth pack refuses before it writes', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
    ['broken device.json', { 'device.json': '{ "network": ' }, /^device\.json: is no JSON/m],
    [
      'a bridge name that a shell would run',
      { 'device.json': { network: { pools: { internal: { ...POOL, bridge: 'br0; reboot' } } } } },
      /^device\.json\.network\.pools\.internal\.bridge: .*br0; reboot/m,
    ],
    [
      'an unknown pool',
      { 'containers/one/args.json': { PV_GROUP: 'app', PV_NETWORK_POOL: 'does-not-exist' } },
      /^one\/run\.json\.network\.pool: .*references unknown pool 'does-not-exist', refusing to start/m,
    ],
    [
      'an argument that needs the one whose name is mistyped',
      { 'containers/one/args.json': { PV_NETWROK_POOL: 'internal', PV_NETWORK_HOSTNAME: 'one' } },
      /^warning: .*PV_NETWROK_POOL: .*the nearest is PV_NETWORK_POOL\n.*PV_NETWORK_HOSTNAME means nothing without/m,
    ],
    [
      'a missing source file',
      { 'containers/one/rootfs.list': 'file /init nowhere|neither' },
      /^containers\/one\/rootfs\.list:1: no readable file for \/init: .*nowhere and .*neither are missing/m,
    ],
    [
      'two root filesystems',
      { 'containers/one/root.squashfs': 'x' },
      /^containers\/one\/rootfs: is there more than once, as rootfs\.list and root\.squashfs; keep one of them/m,
    ],
    [
      'a file below a link, which would land outside',
      { 'containers/one/rootfs.list': 'link /etc /etc\nfile /etc/berth-was-here init' },
      /^containers\/one\/rootfs\.list:2: \/etc\/berth-was-here is below \/etc, which is a link/m,
    ],
    [
      'a path that leaves the root filesystem',
      { 'containers/one/rootfs.list': 'file /../../escaped init' },
      /^containers\/one\/rootfs\.list:1: '\/\.\.\/\.\.\/escaped' must be absolute/m,
    ],
    [
      'a pool together with baked lines',
      {
        'containers/one/args.json': {
          PV_NETWORK_POOL: 'internal',
          PV_LXC_NETWORK_TYPE: 'veth',
          PV_LXC_NETWORK_IPV4_ADDRESS: '10.0.3.2/24',
        },
      },
      /^one\/lxc\.container\.conf:\d+: .*bakes its network too; remove/m,
    ],
  ];
  for (const [name, files, message] of cases) {
    it(name, async () => {
      const source = scratch.write(`bad ${name}`, soundSource(files));
      const ran = await pack(source, '-o', out(`out ${name}`));
      assert.equal(ran.exitCode, 1);
      assert.match(ran.stderr, message);
      assert.equal(existsSync(out(`out ${name}`)), false);
      assert.deepEqual(scratch.temporaries(), []);
    });
  }

  it('lists the errors of all files at once', async () => {
    const source = scratch.write('all', {
      ...soundSource({ 'device.json': { network: { pools: { internal: { ...POOL, gateway: '10.0.6.1' } } } } }),
      'containers/two/args.json': { PV_GROUP: 'nobody' },
    });
    const { stderr } = await pack(source, '-o', out('all-out'));
    assert.match(stderr, /^device\.json\.network\.pools\.internal\.gateway: /m);
    assert.match(stderr, /^containers\/two\/rootfs: is missing/m);
    assert.match(stderr, /^two\/run\.json\.group: /m);
  });

  it('says nothing of pools and groups where device.json cannot be read, and whose it is where there is none', async () => {
    const args = {
      PV_GROUP: 'ours',
      PV_NETWORK_POOL: 'internal',
      PV_PERSISTENCE: { '/srv': { persistence: 'permanent', disk: 'ours' } },
    };
    const torn = scratch.write(
      'torn',
      soundSource({ 'device.json': '{ "network":', 'containers/one/args.json': args }),
    );
    const { stderr } = await pack(torn, '-o', out('torn-out'));
    assert.match(stderr, /^device\.json: is no JSON: .*\nberth pack: 1 error, nothing was written\n$/);
    rmSync(join(torn, 'device.json'));
    assert.match(
      (await pack(torn, '-o', out('torn-out'))).stderr,
      /^warning: device\.json: no folder has one; [\s\S]*references unknown pool 'internal'/,
    );
  });

  it('a source that cannot be read even --unchecked, which lets through only what breaks the rules', async () => {
    const outside = { 'device.json': { network: { pools: { internal: { ...POOL, gateway: '10.0.6.1' } } } } };
    const broken = scratch.write('unchecked', soundSource(outside));
    const ran = await pack(broken, '-o', out('unchecked-out'), '--unchecked');
    assert.equal(ran.exitCode, 0, ran.stderr);
    assert.match(ran.stderr, /^warning: device\.json\.network\.pools\.internal\.gateway: /m);
    assert.equal((await berth('check', out('unchecked-out'))).exitCode, 1);
    const unreadable = scratch.write('unreadable', { ...soundSource(outside), 'containers/two/args.json': '{' });
    const refused = await pack(unreadable, '-o', out('unreadable-out'), '--unchecked');
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^containers\/two\/args\.json: is no JSON/m);
    assert.equal(existsSync(out('unreadable-out')), false);
  });

  it('what is no folder in containers/, and takes a link to one for it', async () => {
    const source = scratch.write('beside', soundSource());
    const elsewhere = scratch.write('elsewhere', soundSource());
    const containers = join(source, 'containers');
    symlinkSync(join(elsewhere, 'containers/one'), join(containers, 'two'));
    writeFileSync(join(containers, '.gitkeep'), '');
    const taken = await pack(source, '-o', out('beside-out'));
    assert.equal(taken.exitCode, 0, taken.stderr);
    assert.equal(existsSync(out('beside-out/trails/0/two/root.squashfs')), true);
    writeFileSync(join(containers, 'notes.txt'), '');
    symlinkSync('/nowhere', join(containers, 'three'));
    const refused = await pack(source, '-o', out('beside-not'));
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /containers\/notes\.txt: is no folder/);
    assert.match(refused.stderr, /containers\/three: is a link to nothing/);
    assert.equal(existsSync(out('beside-not')), false);
  });

  it('a link or a device in a configuration overlay', async () => {
    const source = scratch.write('linked', soundSource({ 'containers/one/config/etc/a': 'a' }));
    symlinkSync('/etc/shadow', join(source, 'containers/one/config/etc/b'));
    const ran = await pack(source, '-o', out('linked-out'));
    assert.equal(ran.exitCode, 1);
    assert.match(ran.stderr, /config\/etc\/b: is no readable regular file/);
  });

  it('a folder that cannot be made, and an archive that is a folder', async () => {
    const source = scratch.write('unplaced', soundSource());
    const nowhere = await pack(source, '-o', '/proc/nothing');
    assert.deepEqual(
      [nowhere.exitCode, nowhere.stderr],
      [1, "berth pack: ENOENT: no such file or directory, mkdir '/proc/nothing'\n"],
    );
    const folder = scratch.write('folder.tgz', { x: '' });
    const archive = await pack(source, '-o', folder);
    assert.deepEqual([archive.exitCode, archive.stderr.includes('folder.tgz is a folder')], [2, true], archive.stderr);
  });

  it('without mksquashfs, and names its package', async () => {
    const source = scratch.write('no-mksquashfs', soundSource());
    const ran = await berthWith(
      { ...scratch.environment, PATH: scratch.folder },
      'pack',
      source,
      '-o',
      out('none-out'),
    );
    assert.equal(ran.exitCode, 1);
    assert.match(ran.stderr, /mksquashfs not found in PATH; on Debian: apt-get install squashfs-tools/);
    assert.equal(existsSync(out('none-out')), false);
    assert.deepEqual(scratch.temporaries(), []);
  });

  it('wrong use with exit code 2', async () => {
    const source = scratch.write('use', soundSource());
    const occupied = scratch.write('occupied', { 'letter.txt': 'dear' });
    const wrong = [
      [source],
      ['-o', out('x')],
      [source, '-o', out('x'), '--revision', '../1'],
      [source, '-o', out('x'), '--revision', 'current'],
      [source, '-o', occupied],
      // Of a variable that is not set: the folder that the command stands in would become a storage.
      [source, '-o', ''],
    ];
    for (const args of wrong) assert.equal((await pack(...args)).exitCode, 2, args.join(' '));
    assert.equal((await pack(out('nowhere'), '-o', out('x'))).exitCode, 2);
    assert.match((await pack(source, '-o', '')).stderr, /-o is missing/);
    assert.match(
      (await pack(join(source, 'device.json'), '-o', out('x'))).stderr,
      /device\.json: is a file; name a folder/,
    );
    assert.equal(existsSync(out('x')), false);
  });
});
