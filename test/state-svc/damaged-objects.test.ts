// Objects on a damaged disk: what the kernel does not let anybody look at, it does not let anybody replace or remove either, but for the
// folder that it is in.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openObjectStore } from '../../services/state-svc/object-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { CANNOT_DAMAGE, makeDamagedDisk, mountArguments } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';
import { sha256 } from './device.ts';

const TRAIL = 'trails/locals/x';

describe('the store of objects on a damaged disk', { skip: CANNOT_DAMAGE }, () => {
  const [sound, damaged] = [sha256('sound'), sha256('damaged')];
  let folder = '';
  let storage = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-objects-'));
    storage = join(folder, 'storage');
    for (const path of ['storage', 'packed/objects/incoming']) mkdirSync(join(folder, path), { recursive: true });
    for (const text of ['sound', 'damaged']) writeFileSync(join(folder, 'packed/objects', sha256(text)), text);
    mkdirSync(join(folder, 'packed', TRAIL, '.pvr'), { recursive: true });
    writeFileSync(join(folder, 'packed', TRAIL, '.pvr/json'), '{}');
    for (const [path, text] of [
      ['.pvr/json', '{}'],
      ['root', 'sound'],
      ['.pv/damaged', 'x'],
      ['closed/lost', 'x'],
      // More than are removed by the time that one is found damaged.
      ...Array.from({ length: 300 }, (_, at) => [`many/${at}/file`, 'x'] as const),
    ] as const) {
      const packed = join(folder, 'packed/trails/locals/left', path);
      mkdirSync(dirname(packed), { recursive: true });
      writeFileSync(packed, text);
    }
    makeDamagedDisk(join(folder, 'image'), join(folder, 'packed'), [
      'trails/locals/left/.pv/damaged',
      'trails/locals/left/closed',
      `objects/${damaged}`,
      `${TRAIL}/.pvr/json`,
    ]);
    execFileSync('mount', mountArguments(join(folder, 'image'), storage));
  });
  after(async () => {
    await unmount(storage);
    rmSync(folder, { recursive: true });
  });

  it('finds the others, and says which cannot be found', async () => {
    const store = openObjectStore(storage, silentLogger);
    const names = await store.list();
    assert.deepEqual(names, [sound, damaged].sort());
    assert.deepEqual(
      (await store.findAll(names)).map((found) => found.sha256),
      [sound],
    );
    assert.deepEqual(
      store.health().map(({ code }) => code),
      ['OBJECTS_UNREADABLE'],
    );
    await assert.rejects(store.find(damaged), /nor replaced .*check the file system/);
  });

  it('is right that nothing takes its place', async () => {
    const store = openObjectStore(storage, silentLogger);
    const file = join(storage, 'objects/incoming/whole');
    writeFileSync(file, 'damaged');
    await assert.rejects(store.replace(file, damaged), /-74|EBADMSG/);
    await assert.rejects(store.remove(damaged), /-74|EBADMSG/);
  });

  it('takes from a revision that goes all but what is damaged', async () => {
    const steps = openStepStore(storage, silentLogger);
    await assert.rejects(steps.remove('locals/left'), /-74|EBADMSG/);
    assert.deepEqual(await steps.list(), []);
    const making = join(storage, 'trails/locals/.left.making');
    const folders = readdirSync(making).filter((name) => name !== 'closed');
    const left = folders.flatMap((name) => readdirSync(join(making, name), { recursive: true, encoding: 'utf8' }));
    assert.deepEqual(
      left.filter((path) => /json|damaged|file/.test(String(path))),
      ['damaged'],
    );
    assert.ok(!folders.includes('root'));
  });

  it('takes a revision in the place of one whose state is damaged', async () => {
    const steps = openStepStore(storage, silentLogger);
    await assert.rejects(steps.has('locals/x'), /-74|EBADMSG/);
    assert.equal(await steps.put('locals/x', '{"a":1}', new Map()), true);
    assert.equal(await steps.stateText('locals/x'), '{"a":1}');
  });
});
