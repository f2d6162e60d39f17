// Which sources of the host are found within a folder that a container writes.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { withHostSources, writtenFolders, writtenSources } from '../../services/lxc-svc/host-sources.ts';
import { createRevisionSources } from '../../services/lxc-svc/revision-sources.ts';

const entriesOf = (...lines: readonly string[]) => lines.map((value) => ({ key: 'lxc.mount.entry', value }));

describe('lxc-svc.hostSources', () => {
  let folder: string;
  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'berth-host-')));
    mkdirSync(join(folder, 'srv/a/b'), { recursive: true });
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'file'), '');
    symlinkSync('srv/a', join(folder, 'to-a'));
    symlinkSync(join(folder, 'srv'), join(folder, 'to-srv'));
    symlinkSync('round', join(folder, 'round'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** With `srv` written, and each path in the folder. */
  const found = (source: string, options = 'bind', written: readonly string[] = ['srv']) => {
    const folders = writtenFolders(
      [],
      written.map((path) => join(folder, path)),
    );
    const { entries, sources } = withHostSources(
      entriesOf(`${folder}/${source} x none ${options} 0 0`),
      () => folders,
      '/places',
    );
    const [own] = sources;
    assert.equal(entries[0]?.value.startsWith('/places/0 x none '), own !== undefined);
    return own && { ...own, root: own.root.slice(folder.length) };
  };

  it('are those below the folder, by whatever way of the host', () => {
    for (const [source, inside] of [
      ['srv/a/b', 'a/b'],
      ['srv/none', 'none'],
      ['to-srv/a', 'a'],
      ['to-a/b', 'a/b'],
      ['other/../srv/./a', 'a'],
    ] as const) {
      const { root, inside: below } = found(source) ?? {};
      assert.deepEqual([root, below], ['/srv', inside], source);
    }
  });

  it('are not the folder itself, what is beside it, and what is not there', () => {
    for (const source of ['srv', 'to-srv', 'other', 'file', 'none/x', 'round', 'srv/../other', 'file/x']) {
      assert.equal(found(source), undefined, source);
    }
  });

  it('are as the line has them', () => {
    const { isOptional, isRecursive, isMade, isBerths, name } = found('srv/a', 'rbind,optional,create=dir') ?? {};
    assert.deepEqual([isOptional, isRecursive, isMade, isBerths], [true, true, false, false]);
    assert.equal(name, `${folder}/srv/a`);
    assert.deepEqual([found('srv/a')?.isOptional, found('srv/a')?.isRecursive], [false, false]);
  });

  it('are made where the line says so, from the last folder on the way that is there', () => {
    const asked = 'bind,origin=mkdir,create=dir';
    for (const [source, root, inside] of [
      ['other/new/deep', '/other', 'new/deep'],
      ['to-srv/new/deep', '/srv', 'new/deep'],
      ['other/../srv/new', '/srv', 'new'],
    ] as const) {
      const own = found(source, asked);
      assert.deepEqual([own?.root, own?.inside, own?.isMade], [root, inside, true], source);
    }
    for (const source of ['other', 'file/x', 'round', 'other/new/../../file']) {
      assert.equal(found(source, asked), undefined, source);
    }
  });

  it('are found in the uppermost of written folders, of whatever order, and in none that a link of a container names', () => {
    symlinkSync('../other', join(folder, 'srv/link'));
    assert.equal(found('other/x', 'bind', ['srv/link', 'srv']), undefined);
    assert.equal(found('other/x', 'bind', ['srv/link'])?.inside, 'x');
    assert.equal(found('srv/a/b', 'bind', ['srv/a', 'srv'])?.inside, 'a/b');
    assert.equal(found('srv/a/b', 'bind', ['srv/a', 'to-srv'])?.inside, 'a/b');
    assert.equal(found('srv/a/b', 'bind', ['none', 'file', 'srv/a'])?.inside, 'b');
  });

  it('are none of what is no bind of the host, nor asked for without one', () => {
    const others = [
      'tmpfs x tmpfs rw',
      '/dev/sda1 x ext4 rw',
      '/volumes/a/v/x x none bind',
      'srv/a x none bind,relative',
      `${folder}/srv/a x none relative,bind`,
    ];
    const { sources } = withHostSources(entriesOf(...others), () => assert.fail('asked'), '/places');
    assert.deepEqual(sources, []);
  });

  it('are left alone in folders of the system', () => {
    assert.deepEqual([...writtenFolders([], ['/', '/etc', '/usr', '/var', '/run', '/dev'])], []);
  });

  it('are found among all that links of the kernel and of udev lead across, and in what is mounted there alone', () => {
    for (const [written, source, root, inside] of [
      ['/sys/class', '/sys/class/net/lo', '/sys', 'class/net/lo'],
      ['/proc/sys', '/proc/sys/net/ipv4', '/proc', 'sys/net/ipv4'],
      ['/dev/shm', '/dev/shm/x/y', '/dev/shm', 'x/y'],
    ] as const) {
      const folders = writtenFolders([], [written]);
      const { sources } = withHostSources(entriesOf(`${source} x none bind`), () => folders, '/places');
      assert.deepEqual(
        sources.map((each) => [each.root, each.inside]),
        [[root, inside]],
      );
      assert.deepEqual(withHostSources(entriesOf(`${written} x none bind`), () => folders, '/places').sources, []);
    }
  });

  it('are written by lines that do not say ro', () => {
    const lines = ['/a x none bind', '/b x none rbind,rw', '/c x none bind,ro', 'tmpfs x tmpfs rw'];
    assert.deepEqual(writtenSources(entriesOf(...lines)), ['/a', '/b']);
  });

  it('are written by any container of a revision whose configuration can be read', () => {
    const trail = join(folder, 'trails/1');
    const state = {
      'a/run.json': {},
      'b/run.json': { config: 'other.conf' },
      'c/run.json': {},
      'd/run.json': [],
      'e/run.json': {},
    };
    for (const each of ['.pvr', 'a', 'b', 'e']) mkdirSync(join(trail, each), { recursive: true });
    writeFileSync(join(trail, '.pvr/json'), JSON.stringify(state));
    writeFileSync(join(trail, 'a/lxc.container.conf'), 'lxc.mount.entry = /a x none bind\n');
    writeFileSync(join(trail, 'b/other.conf'), 'lxc.mount.fstab = fstab\n');
    writeFileSync(join(trail, 'b/fstab'), '/b x none bind\n/a x none bind\n');
    writeFileSync(join(trail, 'e/lxc.container.conf'), 'lxc.mount.entry = /storage/e x none bind\n');
    const sources = createRevisionSources({ rundir: '/none', storage: folder, tree: '0' });
    assert.deepEqual(sources('1'), ['/a', '/b', join(folder, 'e')]);
    assert.deepEqual(sources('2'), []);
  });

  describe('of a revision', () => {
    let sources: ReturnType<typeof createRevisionSources>;
    const config = (container: string) => join(folder, 'trails/3', container, 'lxc.container.conf');
    const writeDocuments = (documents: object) => {
      const path = join(folder, 'trails/3/.pvr/json');
      writeFileSync(`${path}.new`, JSON.stringify(documents));
      renameSync(`${path}.new`, path);
    };
    const writeState = (...containers: readonly string[]) =>
      writeDocuments(Object.fromEntries(containers.map((name) => [`${name}/run.json`, {}])));
    beforeEach(() => {
      for (const each of ['.pvr', 'a', 'b']) mkdirSync(join(folder, 'trails/3', each), { recursive: true });
      for (const each of ['a', 'b']) writeFileSync(config(each), `lxc.mount.entry = /${each} x none bind\n`);
      writeState('a');
      sources = createRevisionSources({ rundir: '/none', storage: folder, tree: '0' });
    });
    afterEach(() => rmSync(join(folder, 'trails/3'), { recursive: true }));

    it('are those bound read-only, too, where a remount lets a container write', () => {
      for (const each of ['a', 'b']) writeFileSync(config(each), `lxc.mount.entry = /${each} x none bind,ro\n`);
      const remount = { default: [{ '/x': 'nosuid,rw' }] };
      writeDocuments({ 'a/run.json': { remount }, 'b/run.json': { remount: { default: [{ '/x': 'nosuid' }] } } });
      assert.deepEqual(sources('3'), ['/a']);
      writeDocuments({ 'device.json': { remount }, 'b/run.json': {} });
      assert.deepEqual(sources('3'), ['/b']);
    });

    it('are read once, and anew where another one has taken its name', () => {
      assert.deepEqual(sources('3'), ['/a']);
      rmSync(config('a'));
      assert.deepEqual(sources('3'), ['/a']);
      writeState('a', 'b');
      assert.deepEqual(sources('3'), ['/b']);
    });

    it('are read again where something of it could not be read', () => {
      rmSync(config('a'));
      mkdirSync(config('a'));
      assert.deepEqual(sources('3'), []);
      rmSync(config('a'), { recursive: true });
      writeFileSync(config('a'), 'lxc.mount.entry = /a x none bind\nlxc.include = more\n');
      assert.deepEqual(sources('3'), ['/a']);
      writeFileSync(join(folder, 'trails/3/a/more'), 'lxc.mount.entry = /more x none bind\n');
      assert.deepEqual(sources('3'), ['/a', '/more']);
    });

    it('are none of a state that cannot be read, until it can be', () => {
      writeFileSync(join(folder, 'trails/3/.pvr/json'), '{');
      assert.deepEqual(sources('3'), []);
      writeState('a');
      assert.deepEqual(sources('3'), ['/a']);
    });
  });
});
