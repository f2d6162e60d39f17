// Uploads over state-svc's contract, and the objects that come by them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Device, sha256, uploadId } from './device.ts';
import { health } from './kit.ts';
import { begin, codeOf, incoming, putObject, useBootedDevices } from './uploading.ts';

const open = useBootedDevices();

describe('uploads', () => {
  it('become objects, which nobody may write any more', async () => {
    const it = await open();
    assert.ok((await putObject(it, 'some bytes')).ok);
    const path = join(it.storage, 'objects', sha256('some bytes'));
    assert.equal(readFileSync(path, 'utf8'), 'some bytes');
    assert.equal(statSync(path).mode & 0o777, 0o444);
    assert.equal(statSync(path).nlink, 1);
    assert.deepEqual(incoming(it), []);
  });

  it('are open to the group of the folder until then', async () => {
    const it = await open();
    const { path } = await begin(it, { sha256: sha256('x') });
    assert.equal(statSync(path).mode & 0o777, 0o660);
  });

  it('need not come when the object is there', async () => {
    const it = await open();
    await putObject(it, 'some bytes');
    const again = await it.state.beginUpload({ id: uploadId(), sha256: sha256('some bytes') });
    assert.deepEqual(again, { ok: true, value: { kind: 'present', bytes: 10 } });
  });

  it('of a sound object need not come either when somebody announces another length', async () => {
    const it = await open();
    await putObject(it, 'some bytes');
    const again = await it.state.beginUpload({ id: uploadId(), sha256: sha256('some bytes'), bytes: 3 });
    assert.deepEqual(again, { ok: true, value: { kind: 'present', bytes: 10 } });
  });

  it('replace an object of another length that is damaged', async () => {
    const it = await open();
    const path = join(it.storage, 'objects', sha256('root of web'));
    writeFileSync(path, '');
    assert.ok((await putObject(it, 'root of web')).ok);
    assert.equal(readFileSync(path, 'utf8'), 'root of web');
    assert.equal(statSync(path).mode & 0o777, 0o444);
    assert.deepEqual(incoming(it), []);
    const again = await it.state.beginUpload({ id: uploadId(), sha256: sha256('root of web'), bytes: 11 });
    assert.equal(again.ok && again.value.kind, 'present');
  });

  it('of one object may come side by side', async () => {
    const it = await open();
    const wanted = { sha256: sha256('twice') };
    const both = [await begin(it, wanted), await begin(it, wanted)];
    for (const { path } of both) writeFileSync(path, 'twice');
    const finished = await Promise.all(both.map(({ id }) => it.state.finishUpload({ id })));
    assert.deepEqual(
      finished.map(({ ok }) => ok),
      [true, true],
    );
    assert.deepEqual(incoming(it), []);
  });

  it('that are too large for the disk are refused, with how much there is', async () => {
    const it = await open();
    const answer = await it.state.beginUpload({ id: uploadId(), sha256: sha256('x'), bytes: Number.MAX_SAFE_INTEGER });
    assert.ok(!answer.ok && answer.error.code === 'NO_SPACE');
    assert.equal(answer.error.requiredBytes, Number.MAX_SAFE_INTEGER);
    assert.ok(answer.error.availableBytes > 0);
    assert.deepEqual(incoming(it), []);
  });

  it('leave nothing when they are abandoned, one or all', async () => {
    const it = await open();
    const { id } = await begin(it, { sha256: sha256('x') });
    await begin(it, { sha256: sha256('y') });
    await it.state.abandonUpload({ id });
    assert.equal(await codeOf(it.state.finishUpload({ id })), 'NO_SUCH_UPLOAD');
    assert.equal(incoming(it).length, 1);
    await it.state.forgetUploads({});
    assert.deepEqual(incoming(it), []);
    assert.ok((await it.state.abandonUpload({ id })).ok);
  });

  it('that a restart of state-svc interrupted are gone', async () => {
    const it = await open();
    const { id } = await begin(it, { sha256: sha256('x') });
    await it.boot();
    assert.deepEqual(incoming(it), []);
    assert.equal(await codeOf(it.state.finishUpload({ id })), 'NO_SUCH_UPLOAD');
  });

  it('are limited in number', async () => {
    const it = await open();
    const codes: (string | undefined)[] = [];
    for (let count = 0; count < 65; count += 1) codes.push(await codeOf(it.state.beginUpload({ id: uploadId() })));
    assert.deepEqual([...new Set(codes)], ['ok', 'TOO_MANY_UPLOADS']);
  });
});

describe('objects', () => {
  it('are listed in pages that fit a message', async () => {
    const it = await open();
    const texts = Array.from({ length: 1200 }, (_, index) => `object ${index}`);
    for (const text of texts) writeFileSync(join(it.storage, 'objects', sha256(text)), text);
    const seen: string[] = [];
    let pages = 0;
    for (let after: string | undefined; ; pages += 1) {
      const page = await it.state.listObjects({ after });
      assert.ok(page.ok);
      seen.push(...page.value.objects.map((object) => object.sha256));
      after = page.value.next;
      if (after === undefined) break;
    }
    assert.ok(pages > 0);
    // And the two of the revision that runs.
    assert.deepEqual(seen, [...new Set(seen)].sort());
    assert.equal(seen.length, texts.length + 2);
  });

  /** A link to itself stands in for a damaged inode: whoever looks at it is told ELOOP. */
  const damage = (it: Device, text: string): string => {
    const path = join(it.storage, 'objects', sha256(text));
    rmSync(path, { force: true });
    symlinkSync(sha256(text), path);
    return sha256(text);
  };
  const named = async (it: Device) => {
    const reasons = (await health(it)).filter(({ code }) => code === 'OBJECTS_UNREADABLE');
    return reasons.map(({ message }) => message);
  };

  it('are listed beside one that cannot be looked at, which is told once, and in health until it can', async () => {
    const it = await open();
    await putObject(it, 'sound');
    const digest = damage(it, 'damaged');
    for (const _ of [1, 2]) {
      const listed = await it.state.listObjects({});
      assert.ok(listed.ok);
      const digests = listed.value.objects.map((object) => object.sha256);
      assert.deepEqual([digests.includes(sha256('sound')), digests.includes(digest)], [true, false]);
    }
    assert.equal(it.lines.filter((line) => line.includes(digest)).length, 1);
    const [message = ''] = await named(it);
    assert.ok(message.includes(digest) && message.includes('ELOOP'), message);
    rmSync(join(it.storage, 'objects', digest));
    await it.state.listObjects({});
    assert.deepEqual(await named(it), []);
  });

  it('are collected beside one that cannot be looked at', async () => {
    const it = await open();
    await putObject(it, 'nobody has it');
    const digest = damage(it, 'damaged');
    assert.deepEqual(await it.state.collectGarbage({}), { ok: true, value: { reclaimedBytes: 13 } });
    assert.ok(readdirSync(join(it.storage, 'objects')).includes(digest));
    assert.equal((await named(it)).length, 1);
  });

  it('are refused at once, with the way out, where one of that name is there and cannot be looked at', async () => {
    const it = await open();
    const digest = damage(it, 'damaged');
    const answer = await it.state.beginUpload({ id: uploadId(), sha256: digest });
    assert.ok(!answer.ok && answer.error.code === 'STORE_FAILED');
    assert.match(answer.error.reason, new RegExp(`${digest}.*ELOOP.*file system`));
    assert.deepEqual(incoming(it), []);
    assert.equal((await named(it)).length, 1);
  });
});
