// What is collected, and what must never be.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { garbageSteps } from '../../services/state-svc/garbage.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, GARBAGE_DEFER_MS, sha256, stateOf, uploadId, writeRevision } from './device.ts';
import { APP, health, useDevices } from './kit.ts';
import { putObject, putState } from './uploading.ts';

const make = useDevices();

async function open(): Promise<Device> {
  const device = await make({ a: APP }, {});
  await (await device.boot()).settled;
  await device.untilStatus('a', 'STARTED');
  return device;
}

async function apply({ state }: Device, name: string): Promise<void> {
  await state.runCommand({ op: 'LOCAL_APPLY', payload: name });
  await eventually('applied', PATIENCE_MS, async () => {
    const answer = await state.stepProgress({ name });
    return answer.ok && answer.value.progress['status-msg'] === 'Update applied';
  });
}

/** As it came `ageMs` ago. */
function age({ clock }: Device, path: string, ageMs: number): void {
  const at = (clock.nowMs() - ageMs) / 1000;
  utimesSync(path, at, at);
}

async function reclaimed({ state }: Device): Promise<number> {
  const answer = await state.collectGarbage({});
  assert.ok(answer.ok, JSON.stringify(answer));
  return answer.value.reclaimedBytes;
}

/** For an upload that finds none. */
async function makeRoom({ state }: Device): Promise<void> {
  const began = await state.beginUpload({ id: uploadId(), sha256: sha256('huge'), bytes: 2 ** 50 });
  assert.equal(!began.ok && began.error.code, 'NO_SPACE');
}

const objects = ({ storage }: Device): readonly string[] =>
  readdirSync(join(storage, 'objects')).filter((name) => name !== 'incoming');

describe('garbage', () => {
  it('is no object while a state cannot be read, which health says until it can', async () => {
    const it = await open();
    const path = join(it.storage, 'objects', sha256('nobody has it'));
    writeFileSync(path, 'nobody has it');
    mkdirSync(join(it.storage, 'trails/locals/lost/.pvr/json'), { recursive: true });
    age(it, join(it.storage, 'trails/locals/lost/.pvr/json'), 0);
    assert.equal(await reclaimed(it), 0);
    const [reason] = await health(it);
    assert.equal(reason?.code, 'GARBAGE_KEPT');
    assert.match(reason.message, /revision locals\/lost .*EISDIR.*fsck/);
    rmSync(join(it.storage, 'trails/locals/lost'), { recursive: true });
    assert.equal(await reclaimed(it), 13);
    assert.deepEqual(await health(it), []);
  });

  it('is what no revision has, with its bytes', async () => {
    const it = await open();
    const before = objects(it);
    const path = join(it.storage, 'objects', sha256('nobody has it'));
    writeFileSync(path, 'nobody has it');
    age(it, path, GARBAGE_DEFER_MS);
    assert.equal(await reclaimed(it), 13);
    assert.deepEqual(objects(it), before);
    assert.equal(await reclaimed(it), 0);
  });

  it('is on command an object that has just come as well, unless a revision names it that came just now', async () => {
    const it = await open();
    await writeRevision(it.storage, 'locals/new', stateOf({ a: APP, b: APP }, {}));
    const [fresh = '', named = ''] = ['fresh', 'root of b'].map((content) =>
      join(it.storage, 'objects', sha256(content)),
    );
    writeFileSync(fresh, 'fresh');
    // Of a clock that was set back since.
    for (const path of [fresh, named]) age(it, path, -1000);
    age(it, join(it.storage, 'trails/locals/new/.pvr/json'), 1000);
    assert.equal(await reclaimed(it), 5);
    assert.deepEqual([existsSync(fresh), existsSync(named)], [false, true]);
  });

  it('is no object that has just come, where room is made for an upload: it is of the same revision', async () => {
    const it = await open();
    const [fresh = '', old = ''] = ['fresh', 'old'].map((content) => join(it.storage, 'objects', sha256(content)));
    for (const path of [fresh, old]) writeFileSync(path, path);
    age(it, fresh, GARBAGE_DEFER_MS - 1000);
    age(it, old, GARBAGE_DEFER_MS);
    await makeRoom(it);
    assert.deepEqual([existsSync(fresh), existsSync(old)], [true, false]);
  });

  for (const [years, how] of [
    [56, 'forward'],
    [-56, 'back'],
  ] as const) {
    it(`is as old as it was where the clock is set ${how}`, async () => {
      const it = await make({ a: APP }, {});
      const [there = '', came = '', told = ''] = ['there', 'came', 'told'].map((content) =>
        join(it.storage, 'objects', sha256(content)),
      );
      for (const path of [there, told]) writeFileSync(path, path);
      for (const path of [there, told]) age(it, path, path === there ? 1000 : 10 * GARBAGE_DEFER_MS);
      await (await it.boot()).settled;
      await it.untilStatus('a', 'STARTED');
      const { document, objects: contents } = stateOf({ b: APP }, {});
      for (const content of ['came', ...contents.values()]) assert.ok((await putObject(it, content)).ok);
      assert.ok((await putState(it, 'locals/new', JSON.stringify(document))).ok);
      const began = await it.state.beginUpload({ id: uploadId(), sha256: sha256('told') });
      assert.equal(began.ok && began.value.kind, 'present');
      const all = [there, came, told, join(it.storage, 'trails/locals/new/.pvr/json')];
      const left = () => all.map((path) => existsSync(path));
      it.clock.jump(years * 365 * 24 * 3_600_000);
      await makeRoom(it);
      assert.deepEqual(left(), [true, true, true, true]);
      it.clock.advance(GARBAGE_DEFER_MS - 1000);
      await makeRoom(it);
      assert.deepEqual(left(), [false, true, true, true]);
      it.clock.advance(1000);
      await makeRoom(it);
      assert.deepEqual(left(), [false, false, false, false]);
    });
  }

  it('is no object that an upload is to bring, whether it is there or not', async () => {
    const it = await open();
    const path = join(it.storage, 'objects', sha256('coming'));
    const began = await it.state.beginUpload({ id: uploadId(), sha256: sha256('coming'), bytes: 6 });
    assert.ok(began.ok);
    writeFileSync(path, 'coming');
    assert.equal(await reclaimed(it), 0);
    assert.ok(existsSync(path));
  });

  it('is no object that somebody was told to be there', async () => {
    const it = await open();
    const path = join(it.storage, 'objects', sha256('old'));
    writeFileSync(path, 'old');
    age(it, path, 10 * GARBAGE_DEFER_MS);
    const began = await it.state.beginUpload({ id: uploadId(), sha256: sha256('old') });
    assert.equal(began.ok && began.value.kind, 'present');
    assert.ok(statSync(path).mtimeMs > Date.now() - 60_000, 'it is as old as it was');
  });

  it('is a revision that nobody needs, with its objects; what runs and what is rolled back to stay', async () => {
    const it = await open();
    await writeRevision(it.storage, 'locals/left', stateOf({ a: APP, gone: APP }, {}));
    await apply(it, 'locals/left');
    for (const path of ['trails/locals/left/.pvr/json', `objects/${sha256('root of gone')}`])
      age(it, join(it.storage, path), GARBAGE_DEFER_MS);
    await writeRevision(it.storage, 'locals/next', stateOf({ a: APP, b: APP }, {}));
    await it.state.runCommand({ op: 'LOCAL_RUN', payload: 'locals/next' });
    await it.untilStatus('b', 'STARTED');
    const bytes = await reclaimed(it);
    assert.deepEqual(readdirSync(join(it.storage, 'trails')).sort(), ['0', 'locals']);
    assert.deepEqual(readdirSync(join(it.storage, 'trails/locals')), ['next']);
    assert.ok(!existsSync(join(it.storage, 'objects', sha256('root of gone'))));
    assert.ok(existsSync(join(it.storage, 'objects', sha256('root of b'))));
    assert.ok(bytes > 'root of gone'.length, `${bytes} bytes`);
  });

  it('is no object while a revision cannot be looked at, which may name it, nor that revision', async () => {
    const it = await open();
    for (const name of ['locals/bad', 'locals/old']) await writeRevision(it.storage, name, stateOf({ b: APP }, {}));
    const object = join(it.storage, 'objects', sha256('root of b'));
    const pvr = join(it.storage, 'trails/locals/bad/.pvr');
    renameSync(pvr, `${pvr}.away`);
    symlinkSync('.pvr', pvr);
    age(it, object, GARBAGE_DEFER_MS);
    age(it, join(it.storage, 'trails/locals/old/.pvr/json'), GARBAGE_DEFER_MS);
    await reclaimed(it);
    assert.ok(existsSync(object));
    assert.deepEqual(readdirSync(join(it.storage, 'trails/locals')), ['bad']);
    assert.ok(it.lines.some((line) => /^warn garbage: objects stay.*locals\/bad/.test(line)));
    rmSync(join(it.storage, 'trails/locals/bad'), { recursive: true });
    await reclaimed(it);
    assert.ok(!existsSync(object));
  });

  it('is no revision that came just now and was not run yet', async () => {
    const it = await open();
    await writeRevision(it.storage, 'locals/new', stateOf({ a: APP }, {}));
    const path = join(it.storage, 'trails/locals/new/.pvr/json');
    age(it, path, 1000);
    assert.equal(await reclaimed(it), 0);
    age(it, path, GARBAGE_DEFER_MS);
    assert.ok((await reclaimed(it)) > 0);
    assert.ok(!existsSync(path));
  });

  it('is no revision that came just now and was only checked', async () => {
    const it = await open();
    await writeRevision(it.storage, 'locals/new', stateOf({ a: APP, b: APP }, {}));
    const path = join(it.storage, 'trails/locals/new/.pvr/json');
    await apply(it, 'locals/new');
    age(it, path, 1000);
    assert.equal(await reclaimed(it), 0);
    age(it, path, GARBAGE_DEFER_MS);
    assert.ok((await reclaimed(it)) > 0);
    assert.ok(!existsSync(path));
  });

  it('is never what is needed, whatever else there is', () => {
    const name = fc.constantFrom('0', '1', 'locals/a', 'locals/b');
    const step = fc.record({ name, ageMs: fc.integer({ min: -1000, max: 2000 }), isNew: fc.boolean() });
    const rules = fc.record({
      needed: fc.array(name).map((names) => new Set(names)),
      keepFactory: fc.boolean(),
      deferMs: fc.nat(1000),
      takesFreshObjects: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.uniqueArray(step, { selector: (each) => each.name }), rules, (steps, rule) => {
        const garbage = garbageSteps(steps, rule);
        for (const each of steps) {
          const isKept = !garbage.includes(each.name);
          if (rule.needed.has(each.name)) assert.ok(isKept);
          if (rule.keepFactory && each.name === '0') assert.ok(isKept);
          const isFresh = each.isNew && each.ageMs < rule.deferMs;
          assert.equal(isKept, rule.needed.has(each.name) || (rule.keepFactory && each.name === '0') || isFresh);
        }
      }),
    );
  });
});
