import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { link, lstat, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { openBootStore } from '../../services/state-svc/boot-store.ts';
import { type Checksums, createChecksums } from '../../services/state-svc/checksum-pool.ts';
import { objectsOf, openRevisionStore, type RevisionStore } from '../../services/state-svc/revision-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { PERMISSION_FLAG } from '../../services/supervisor/spawn-service.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { MAX_CONFIG_BYTES } from '../../shared/lxc-config/parse.ts';
import { asRun } from '../kit/as-run.ts';
import { unmount } from '../kit/unmount.ts';
import { sha256 } from './device.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('revision store', () => {
  const root = 'the root filesystem';
  const digest = sha256(root);
  let checksums: Checksums;
  let storage: string;
  let store: RevisionStore;

  before(() => {
    checksums = createChecksums(asRun('services/state-svc/checksum-worker.ts'));
  });
  after(() => checksums.close());
  beforeEach(async () => {
    storage = await mkdtemp(join(tmpdir(), 'state-store-'));
    await mkdir(join(storage, 'objects'));
    await writeFile(join(storage, 'objects', digest), root);
    store = openRevisionStore(storage, checksums);
  });
  afterEach(() => rm(storage, { recursive: true }));

  it('hashes every object and says which paths are damaged, missing or fine', async () => {
    const wrong = sha256('other');
    await writeFile(join(storage, 'objects', wrong), 'not other');
    const problems = await store.verifyObjects(
      new Map([
        ['a/root.squashfs', digest],
        ['b/root.squashfs', wrong],
        ['c/root.squashfs', wrong],
        ['d/root.squashfs', sha256('gone')],
      ]),
    );
    assert.deepEqual(
      problems.map(({ path, code }) => [path, code]),
      [
        ['b/root.squashfs', 'OBJECT_CORRUPT'],
        ['c/root.squashfs', 'OBJECT_CORRUPT'],
        ['d/root.squashfs', 'OBJECT_MISSING'],
      ],
    );
  });

  it('suspects what was damaged when it was hashed last, and no longer when it is whole again or gone', async () => {
    const [mended, gone] = [sha256('mended'), sha256('gone')];
    const suspected = async (): Promise<boolean[]> => {
      await store.verifyObjects(new Map([digest, mended, gone].map((each) => [each, each])));
      return [digest, mended, gone].map(store.isSuspect);
    };
    for (const each of [mended, gone]) await writeFile(join(storage, 'objects', each), 'damaged');
    assert.deepEqual(await suspected(), [false, true, true]);
    await writeFile(join(storage, 'objects', mended), 'mended');
    await rm(join(storage, 'objects', gone));
    assert.deepEqual(await suspected(), [false, false, false]);
  });

  it('hashes a file larger than one read', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024 + 1);
    await writeFile(join(storage, 'objects', sha256(large)), large);
    assert.deepEqual(await store.verifyObjects(new Map([['big', sha256(large)]])), []);
  });

  it('makes missing links, replaces wrong ones and leaves right ones alone', async () => {
    const trail = join(storage, 'trails/0');
    const object = join(storage, 'objects', digest);
    await mkdir(join(trail, 'right'), { recursive: true });
    await link(object, join(trail, 'right/root'));
    await mkdir(join(trail, 'copied'));
    await writeFile(join(trail, 'copied/root'), root);
    await mkdir(join(trail, 'linked'));
    await symlink('/etc/passwd', join(trail, 'linked/root'));
    await mkdir(join(trail, 'folder/root/deep'), { recursive: true });
    const paths = ['right', 'copied', 'linked', 'folder', 'missing'].map((name) => `${name}/root`);
    const untouched = await lstat(join(trail, 'right'));
    assert.deepEqual(await store.checkOut('0', new Map(paths.map((path) => [path, digest]))), []);
    const { ino } = await lstat(object);
    for (const path of paths) assert.equal((await lstat(join(trail, path))).ino, ino, path);
    assert.equal((await lstat(join(trail, 'right'))).mtimeMs, untouched.mtimeMs);
    // A second pass changes nothing.
    const { ctimeMs } = await lstat(object);
    assert.deepEqual(await store.checkOut('0', new Map(paths.map((path) => [path, digest]))), []);
    assert.equal((await lstat(object)).ctimeMs, ctimeMs);
    assert.notEqual(await readFile('/etc/passwd', 'utf8'), root);
  });

  it('links names of any length, and leaves files alone that are called like them', async () => {
    const paths = ['root.new', 'root', 'x'.repeat(255)];
    assert.deepEqual(await store.checkOut('0', new Map(paths.map((path) => [path, digest]))), []);
    const { ino } = await lstat(join(storage, 'objects', digest));
    for (const path of paths) assert.equal((await lstat(join(storage, 'trails/0', path))).ino, ino, path);
  });

  it('tells what cannot be linked instead of throwing', async () => {
    const problems = await store.checkOut(
      '0',
      new Map([
        ['a', digest],
        ['a/b', digest],
      ]),
    );
    assert.deepEqual(
      problems.map(({ path, code }) => [path, code]),
      [['a/b', 'CHECKOUT_FAILED']],
    );
  });

  it('reads revision 0 where nothing says otherwise', async () => {
    const boot = openBootStore(storage, openStepStore(storage, silentLogger), silentLogger);
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: '0' } });
    await mkdir(join(storage, 'boot'));
    await writeFile(join(storage, 'boot/current.json'), '{"revision":"locals/mine"}');
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: 'locals/mine' } });
  });

  it('reads the revision that a link leads to where a link was run as one', async () => {
    const boot = openBootStore(storage, openStepStore(storage, silentLogger), silentLogger);
    for (const folder of ['boot', 'trails']) await mkdir(join(storage, folder));
    for (const [link, target] of [
      ['current', '3'],
      ['stock', '/storage/trails/locals/x'],
      ['astray', '../elsewhere'],
    ] as const) {
      await symlink(target, join(storage, 'trails', link));
    }
    const written = {
      revision: 'astray',
      updated: { revision: 'current', once: false },
      trying: { revision: 'stock', way: 'live', once: false },
      asked: { revision: '4', once: false, commit: false },
      assumedBeside: ['3', 'current'],
    };
    await writeFile(join(storage, 'boot/current.json'), JSON.stringify(written));
    const read = {
      ...written,
      updated: { revision: '3', once: false },
      trying: { ...written.trying, revision: 'locals/x' },
      assumedBeside: ['3'],
    };
    assert.deepEqual(await boot.load(), { ok: true, value: read });
  });

  it('writes beside boot/ what that does not take, and goes by it from then on', async () => {
    for (const folder of ['boot', 'trails']) await mkdir(join(storage, folder));
    await writeFile(join(storage, 'boot/current.json'), '{"revision":"3"}');
    const lines: string[] = [];
    const log = { ...silentLogger, info: (message: string) => void lines.push(message) };
    const boot = openBootStore(storage, openStepStore(storage, log), log);
    // As a boot partition that is mounted there: nobody has it, and no user of ours may write into it.
    execFileSync('mount', ['--bind', '-o', 'ro', join(storage, 'boot'), join(storage, 'boot')]);
    try {
      assert.deepEqual(await boot.load(), { ok: true, value: { revision: '3' } });
      await boot.save({ revision: '4' });
      await boot.save({ revision: '5' });
    } finally {
      await unmount(join(storage, 'boot'));
    }
    assert.equal(lines.length, 1);
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: '5' } });
    await boot.save({ revision: '6' });
    assert.deepEqual(await boot.load(), { ok: true, value: { revision: '6' } });
    assert.equal(await readFile(join(storage, 'boot/current.json'), 'utf8'), '{"revision":"3"}');
    assert.deepEqual(await openStepStore(storage, log).list(), []);
  });

  it('writes nothing beside a boot/ that is only full or damaged', async () => {
    const boot = openBootStore(storage, openStepStore(storage, silentLogger), silentLogger);
    for (const folder of ['boot/current.json.new', 'trails']) await mkdir(join(storage, folder), { recursive: true });
    await assert.rejects(boot.save({ revision: '4' }), { code: 'EISDIR' });
    assert.deepEqual(await readdir(join(storage, 'trails')), []);
  });

  it('reads objects by digest only', () => {
    assert.equal(store.readObject(digest), root);
    assert.equal(store.readObject('../objects'), undefined);
    assert.equal(store.readObject(sha256('gone')), undefined);
  });

  it('reads of a large object no more than tells that it is too large', async () => {
    const large = 'x'.repeat(3 * MAX_CONFIG_BYTES);
    await writeFile(join(storage, 'objects', sha256(large)), large);
    assert.equal(store.readObject(sha256(large))?.length, MAX_CONFIG_BYTES + 1);
  });
});

describe('objectsOf', () => {
  it('finds the objects of any document, also of one that is no state', () => {
    const digest = sha256('x');
    assert.deepEqual([...objectsOf({ 'a/root': digest, 'b/run.json': {}, '#spec': 'y' })], [['a/root', digest]]);
    for (const document of [undefined, null, 3, 'text', []]) assert.equal(objectsOf(document).size, 0);
  });
});

/** More than is hashed without a thread. */
const LARGE_BYTES = 5_000_000;

describe('the checksum pool as it is built', () => {
  it('works under the permission model, with threads of a bundled worker or without any, and gives its threads back', async (context) => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'state-pool-')));
    context.after(() => rm(folder, { recursive: true }));
    const entry = `import { createChecksums } from ${JSON.stringify(join(ROOT, 'services/state-svc/checksum-pool.ts'))};
      import { writeAtomically } from ${JSON.stringify(join(ROOT, 'services/state-svc/atomic-file.ts'))};
      const checksums = createChecksums(__dirname + '/checksum-worker.js');
      writeAtomically(__dirname + '/out/a.json', 'x'.repeat(${LARGE_BYTES})).then(() => checksums.checksum(__dirname + '/out/a.json'))
        .then((found) => { console.log(JSON.stringify(found)); return checksums.close(); });`;
    const options = { bundle: true, platform: 'node', format: 'cjs', target: 'node20' } as const;
    const external = ['piscina'];
    await build({
      ...options,
      external,
      stdin: { contents: entry, resolveDir: ROOT },
      outfile: join(folder, 'main.js'),
    });
    const worker = join(ROOT, 'services/state-svc/checksum-worker.ts');
    await build({ ...options, external, entryPoints: [worker], outfile: join(folder, 'checksum-worker.js') });
    await mkdir(join(folder, 'out'));
    const flags = [
      PERMISSION_FLAG,
      '--allow-worker',
      '--no-warnings',
      '--max-semi-space-size=1',
      '--max-old-space-size=64',
      '--disallow-code-generation-from-strings',
      `--allow-fs-read=${folder}`,
      `--allow-fs-read=${join(ROOT, 'node_modules')}`,
      `--allow-fs-write=${join(folder, 'out')}`,
    ];
    const hashed = async (): Promise<unknown> => {
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, join(folder, 'main.js')]);
      return JSON.parse(stdout);
    };
    const right = { ok: true, sha256: sha256('x'.repeat(LARGE_BYTES)) };
    // piscina cannot be loaded.
    assert.deepEqual(await hashed(), right);
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    assert.deepEqual(await hashed(), right);
  });
});
