// Objects, uploads and steps as ctl-svc asks for them.
import assert from 'node:assert/strict';
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, sha256, stateOf, uploadId, writeRevision } from './device.ts';
import { APP } from './kit.ts';
import { command, reaches } from './updates-kit.ts';
import { begin, codeOf, incoming, putObject, putState, useBootedDevices } from './uploading.ts';

const open = useBootedDevices();

describe('steps', () => {
  const next = stateOf({ web: APP, added: APP }, {});

  it('become revisions: the state as it came, its objects linked, NEW', async () => {
    const it = await open();
    for (const text of next.objects) await putObjectIfMissing(it, text);
    const text = JSON.stringify(next.document, undefined, 3);
    assert.deepEqual(await putState(it, 'locals/next', text), { ok: true, value: {} });
    const trail = join(it.storage, 'trails/locals/next');
    assert.equal(readFileSync(join(trail, '.pvr/json'), 'utf8'), text);
    assert.equal(
      statSync(join(trail, 'added/root.squashfs')).ino,
      statSync(join(it.storage, 'objects', sha256('root of added'))).ino,
    );
    const progress = await it.state.stepProgress({ name: 'locals/next' });
    assert.deepEqual(progress.ok && progress.value.progress, {
      status: 'NEW',
      'status-msg': 'Update ready to be run',
      progress: 0,
      retries: 0,
    });
    assert.deepEqual(incoming(it), []);
  });

  it('wait for what they name that is on its way, and for nothing else', async () => {
    const it = await open();
    const [coming = '', ...others] = next.objects.filter((text) => text.includes('added'));
    for (const text of others) await putObjectIfMissing(it, text);
    const state = JSON.stringify(next.document);
    await begin(it, { sha256: sha256('of another state') });
    for (const [name, code] of [
      ['locals/abandoned', 'STATE_INVALID'],
      ['locals/finished', 'ok'],
    ] as const) {
      const { id, path } = await begin(it, { sha256: sha256(coming) });
      writeFileSync(path, coming);
      const step = await begin(it, {});
      writeFileSync(step.path, state);
      const put = codeOf(it.state.putStep({ name, id: step.id }));
      await eventually('the state was taken', PATIENCE_MS, () => !existsSync(step.path));
      assert.ok((await it.state.collectGarbage({})).ok, 'which takes nothing of what it names');
      await (code === 'ok' ? it.state.finishUpload({ id }) : it.state.abandonUpload({ id }));
      assert.equal(await put, code, name);
    }
    const again = await begin(it, { sha256: sha256('of another state') });
    assert.equal(await codeOf(putState(it, 'locals/beside', state)), 'ok');
    await it.state.abandonUpload({ id: again.id });
  });

  it('are listed with date, message and progress; current is the one that runs', async () => {
    const it = await open();
    await writeRevision(it.storage, '7', next);
    assert.ok((await it.state.setCommitMessage({ name: '7', message: 'seventh\n' })).ok);
    const listed = await it.state.listSteps({});
    assert.ok(listed.ok);
    assert.equal(listed.value.current, '0');
    assert.deepEqual(
      listed.value.steps.map(({ name, commitmsg, progress }) => [name, commitmsg, progress.status]),
      [
        ['0', '', listed.value.steps[0]?.progress.status],
        ['7', 'seventh', 'NEW'],
      ],
    );
    assert.match(listed.value.steps[0]?.date ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const current = await it.state.stepProgress({ name: 'current' });
    assert.equal(current.ok && current.value.revision, '0');
  });

  it('that cannot be looked at hide no others, and are named once', async () => {
    const it = await open();
    for (const name of ['locals/bad', 'locals/good']) await writeRevision(it.storage, name, stateOf({ web: APP }, {}));
    const pvr = join(it.storage, 'trails/locals/bad/.pvr');
    rmSync(pvr, { recursive: true });
    symlinkSync('.pvr', pvr);
    const names = async () => {
      const listed = await it.state.listSteps({});
      assert.ok(listed.ok);
      return listed.value.steps.map(({ name }) => name);
    };
    const said = () => it.lines.filter((line) => /^warn revision locals\/bad is left out .*ELOOP/.test(line)).length;
    await it.boot();
    assert.deepEqual(await names(), ['0', 'locals/good']);
    assert.deepEqual(await names(), ['0', 'locals/good']);
    assert.equal(said(), 1);
    rmSync(pvr);
    await writeRevision(it.storage, 'locals/bad', stateOf({ web: APP }, {}));
    assert.deepEqual(await names(), ['0', 'locals/bad', 'locals/good']);
    // All of them at once.
    rmSync(join(it.storage, 'trails/locals'), { recursive: true });
    symlinkSync('locals', join(it.storage, 'trails/locals'));
    assert.deepEqual(await names(), ['0']);
  });

  it('with a message that is too long, or of a name that is not there, are told so', async () => {
    const it = await open();
    assert.equal(await codeOf(it.state.setCommitMessage({ name: '0', message: 'ä'.repeat(257) })), 'TOO_LONG');
    assert.equal(await codeOf(it.state.setCommitMessage({ name: 'nope', message: '' })), 'NO_SUCH_STEP');
    assert.equal(await codeOf(it.state.stepProgress({ name: '../0' })), 'NO_SUCH_STEP');
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['that is no JSON', '{', /JSON/],
    ['that is no state', '[]', /must be a JSON object/],
    ['whose objects are missing', JSON.stringify(next.document), /is not in the store/],
    [
      'of an unknown pool',
      JSON.stringify(stateOf({ web: { ...APP, network: { pool: 'no' } } }, {}).document),
      /unknown pool/,
    ],
  ];
  for (const [what, text, reason] of wrong) {
    it(`${what} is refused, and nothing of it is kept`, async () => {
      const it = await open();
      const answer = await putState(it, 'locals/bad', text);
      assert.ok(!answer.ok && answer.error.code === 'STATE_INVALID', JSON.stringify(answer));
      assert.match(answer.error.text, reason);
      assert.deepEqual(readdirSync(join(it.storage, 'trails')), ['0']);
      assert.deepEqual(incoming(it), []);
    });
  }

  it('whose object is damaged is refused', async () => {
    const it = await open();
    for (const text of next.objects) writeFileSync(join(it.storage, 'objects', sha256(text)), text);
    writeFileSync(join(it.storage, 'objects', sha256('root of added')), 'rotten');
    const answer = await putState(it, 'locals/bad', JSON.stringify(next.document));
    assert.ok(!answer.ok && answer.error.code === 'STATE_INVALID');
    assert.deepEqual(
      answer.error.problems.map(({ code }) => code),
      ['OBJECT_CORRUPT'],
    );
  });

  it('whose object decayed unseen since it came is refused when it is to run, and repaired by sending both again', async () => {
    const it = await open();
    await it.untilStatus('web', 'STARTED');
    for (const text of next.objects) await putObjectIfMissing(it, text);
    const path = join(it.storage, 'objects', sha256('root of added'));
    const { atimeMs, mtimeMs } = statSync(path);
    // To a time that can be set again; whoever wants to upload it is told that it is there.
    utimesSync(path, atimeMs / 1000, Math.floor(mtimeMs / 1000));
    await (await it.boot()).settled;
    const put = () => putState(it, 'locals/next', JSON.stringify(next.document));
    assert.ok((await put()).ok);
    writeFileSync(path, 'ROOT OF ADDED');
    utimesSync(path, atimeMs / 1000, Math.floor(mtimeMs / 1000));
    assert.ok((await put()).ok, 'its client had to wait until all was hashed');
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/next'), 'accepted');
    await reaches(it, 'locals/next', 'Object validation went wrong');
    assert.ok(it.lines.some((line) => line.includes(`added/root.squashfs: object ${sha256('root of added')}`)));
    assert.ok((await putObject(it, 'root of added')).ok);
    assert.ok((await put()).ok);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/next'), 'accepted');
    await it.untilStatus('added', 'STARTED');
  });

  it('whose object was found damaged are repaired by sending both again', async () => {
    const it = await open();
    const objectPath = join(it.storage, 'objects', sha256('root of web'));
    const linkPath = join(it.storage, 'trails/0/web/root.squashfs');
    await it.untilStatus('web', 'STARTED');
    // As long as it was: only its sha256 tells.
    writeFileSync(objectPath, 'ROOT OF WEB');
    const text = JSON.stringify(stateOf({ web: { ...APP, logs: [] } }, {}).document);
    assert.equal(await codeOf(putState(it, 'locals/next', text)), 'STATE_INVALID');
    assert.ok((await putObject(it, 'root of web')).ok);
    assert.deepEqual(await putState(it, 'locals/next', text), { ok: true, value: {} });
    assert.equal(readFileSync(join(it.storage, 'trails/locals/next/web/root.squashfs'), 'utf8'), 'root of web');
    assert.equal(readFileSync(linkPath, 'utf8'), 'ROOT OF WEB', 'it may be mounted');
    await (await it.boot()).settled;
    assert.equal(statSync(linkPath).ino, statSync(objectPath).ino);
    const again = await it.state.beginUpload({ id: uploadId(), sha256: sha256('root of web') });
    assert.equal(again.ok && again.value.kind, 'present');
  });

  for (const name of [
    'next',
    'locals/',
    'locals/a/b',
    'locals/..',
    'locals/.x',
    'locals/a b',
    'locals/a:b',
    'locals/a,b',
    'locals/a%41',
    `locals/${'a'.repeat(65)}`,
    'locals/ä',
  ]) {
    it(`cannot be called ${JSON.stringify(name.slice(0, 20))}`, async () => {
      const it = await open();
      assert.equal(await codeOf(putState(it, name, '{}')), 'BAD_STEP_NAME');
      assert.deepEqual(incoming(it), []);
    });
  }

  for (const name of ['locals/_x', 'locals/v1.0+b3', 'locals/-x', 'locals/a~b@c=', `locals/${'_'.repeat(64)}`]) {
    it(`may be called ${JSON.stringify(name.slice(0, 20))}`, async () => {
      const it = await open();
      for (const text of next.objects) await putObjectIfMissing(it, text);
      assert.deepEqual(await putState(it, name, JSON.stringify(next.document)), { ok: true, value: {} });
      const listed = await it.state.listSteps({});
      assert.ok(listed.ok && listed.value.steps.some((step) => step.name === name));
    });
  }

  it('may be put again while nobody uses them', async () => {
    const it = await open();
    for (const text of next.objects) await putObjectIfMissing(it, text);
    assert.ok((await putState(it, 'locals/next', JSON.stringify(next.document))).ok);
    const other = JSON.stringify(stateOf({ web: APP }, {}).document);
    assert.ok((await putState(it, 'locals/next', other)).ok);
    assert.ok(!existsSync(join(it.storage, 'trails/locals/next/added')));
    assert.deepEqual(readdirSync(join(it.storage, 'trails/locals')), ['next']);
  });

  it('that were being made when the power went are gone, and what they would have replaced is back', async () => {
    const it = await open();
    await writeRevision(it.storage, 'locals/.half.making', next);
    await writeRevision(it.storage, 'locals/.kept.replaced', next);
    await writeRevision(it.storage, '.4711.new', next);
    await it.boot();
    assert.deepEqual(readdirSync(join(it.storage, 'trails/locals')), ['kept']);
    assert.ok(existsSync(join(it.storage, 'trails/.4711.new')), 'somebody packs a revision right now');
  });
});

async function putObjectIfMissing(it: Device, text: string): Promise<void> {
  if (!existsSync(join(it.storage, 'objects', sha256(text)))) assert.ok((await putObject(it, text)).ok);
}
