import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { NO_INTENT, openIntents } from '../../services/state-svc/intent-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

/** As earlier builds read the file: what they do not know has them forget all of it. */
const FROZEN = z.record(
  z.string(),
  z.strictObject({
    userStopped: z.boolean(),
    pendingStart: z.nullable(z.strictObject({ replacesPid: z.int() })),
    recoveryDelayMs: z.nullable(z.int()),
    readyPid: z.nullable(z.int()),
    retries: z.int(),
    restarts: z.int(),
  }),
);

describe('intent store', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'state-intents-'));
    path = join(folder, 'cache/containers.json');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('has on disk what it was told, when the promise resolves, and reads it again', async () => {
    const intents = await openIntents(path, silentLogger);
    await intents.set('web', { userStopped: true, retries: 2 });
    const again = await openIntents(path, silentLogger);
    assert.deepEqual(again.get('web'), { ...NO_INTENT, userStopped: true, retries: 2 });
    assert.deepEqual(again.get('other'), NO_INTENT);
    assert.deepEqual(await readdir(join(folder, 'cache')), ['containers.json']);
  });

  it('loses nothing of changes that come at once', async () => {
    const intents = await openIntents(path, silentLogger);
    await Promise.all(Array.from({ length: 50 }, (_, index) => intents.set(`c${index}`, { retries: index + 1 })));
    const kept: unknown = JSON.parse(await readFile(path, 'utf8'));
    assert.equal(Object.keys(Object(kept)).length, 50);
  });

  it('forgets all but those that it is to keep, on disk as well', async () => {
    const intents = await openIntents(path, silentLogger);
    for (const name of ['web', 'gone']) await intents.set(name, { userStopped: true });
    await intents.keepOnly(new Set(['web', 'never-seen']));
    assert.deepEqual(intents.get('gone'), NO_INTENT);
    const kept: unknown = JSON.parse(await readFile(path, 'utf8'));
    assert.deepEqual(Object.keys(Object(kept)), ['web']);
  });

  it('keeps what an earlier build does not know where that does not read it', async () => {
    const intents = await openIntents(path, silentLogger);
    await intents.set('web', { userStopped: true });
    const lastExit = { status: { kind: 'code', code: 1 }, atMs: 5 } as const;
    await intents.set('base', { downPid: 7, lastExit, exhaustedMs: 3.5 });
    const kept = FROZEN.parse(JSON.parse(await readFile(path, 'utf8')));
    assert.equal(kept.web?.userStopped, true);
    const again = await openIntents(path, silentLogger);
    assert.deepEqual(again.get('base'), { ...NO_INTENT, downPid: 7, lastExit, exhaustedMs: 3.5 });
    await again.set('base', NO_INTENT);
    assert.deepEqual((await openIntents(path, silentLogger)).get('base'), NO_INTENT);
  });

  for (const [unwritable, written] of [
    ['containers.json', 'containers-ends.json'],
    ['containers-ends.json', 'containers.json'],
  ] as const) {
    it(`has ${written} on disk also where ${unwritable} cannot be: a kill between the two forgets nothing that belongs together`, async () => {
      const intents = await openIntents(path, silentLogger);
      await mkdir(join(folder, 'cache', `${unwritable}.new`), { recursive: true });
      await assert.rejects(intents.set('web', { recoveryDelayMs: 5000, exhaustedMs: 3.5 }), { code: 'EISDIR' });
      assert.equal((await readdir(join(folder, 'cache'))).includes(written), true);
    });
  }

  it('reads what a later build has added to, and leaves that out', async () => {
    const intents = await openIntents(path, silentLogger);
    await intents.set('web', { userStopped: true });
    const { web } = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ web: { ...web, later: 1 } }));
    assert.deepEqual((await openIntents(path, silentLogger)).get('web'), { ...NO_INTENT, userStopped: true });
  });

  it('answers a change at once, before it is on disk', async () => {
    const intents = await openIntents(path, silentLogger);
    const written = intents.set('web', { readyPid: 7 });
    assert.equal(intents.get('web').readyPid, 7);
    await written;
  });

  it('starts over with a damaged file, and says so', async () => {
    const intents = await openIntents(path, silentLogger);
    await intents.set('web', { userStopped: true });
    await writeFile(path, '{"web":{"userStopped":"yes"}}');
    const lines: string[] = [];
    const again = await openIntents(path, { ...silentLogger, warn: (line) => lines.push(line) });
    assert.deepEqual(again.get('web'), NO_INTENT);
    assert.equal(lines.length, 1);
  });

  it('says why it could not write, and goes on trying by itself', async () => {
    const intents = await openIntents(path, silentLogger, 1);
    await writeFile(join(folder, 'cache'), 'in the way');
    await assert.rejects(intents.set('web', { userStopped: true }));
    assert.match(intents.unwritten() ?? '', /EEXIST|ENOTDIR/);
    await assert.rejects(intents.set('web', { userStopped: true }), 'what is not on disk is not called written');
    await rm(join(folder, 'cache'));
    await eventually('written', PATIENCE_MS, () => intents.unwritten() === undefined);
    assert.equal((await openIntents(path, silentLogger)).get('web').userStopped, true);
  });

  it('rejects when the disk takes nothing, and tries again with the next change', async () => {
    const intents = await openIntents(path, silentLogger);
    await writeFile(join(folder, 'cache'), 'in the way');
    await assert.rejects(intents.set('web', { retries: 1 }));
    await rm(join(folder, 'cache'));
    await intents.set('web', { retries: 2 });
    assert.equal((await openIntents(path, silentLogger)).get('web').retries, 2);
  });
});
