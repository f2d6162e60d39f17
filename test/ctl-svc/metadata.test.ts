// user-meta and device-meta as a client sees them: real curl, real sockets, fake services.
import assert from 'node:assert/strict';
import { after, beforeEach, describe, it } from 'node:test';
import { curl, type Rig, sendRaw, startRig } from './rig.ts';

const error = (text: string): string => `{"Error":${JSON.stringify(text)}}`;
const rig: Rig = await startRig(['web', 'waits']);
after(() => rig.stop());

const put = (path: string, value: string, ...args: string[]) =>
  curl(rig.host, path, ['-X', 'PUT', '--data-binary', '@-', ...args], value);
const remove = (path: string) => curl(rig.host, path, ['-X', 'DELETE']);

describe('ctl.metadata', () => {
  beforeEach(() => {
    rig.world.metadataRefusal = undefined;
    rig.world.metadata.user.clear();
    rig.world.metadata.device.clear();
  });

  it('is an empty object at first', async () => {
    for (const path of ['/user-meta', '/device-meta']) {
      const { status, body, headers } = await curl(rig.host, path);
      assert.deepEqual([status, body], [200, '{}']);
      assert.match(headers, /content-type: application\/json/i);
    }
  });

  it('takes the raw body as the value and gives it back as a text', async () => {
    assert.deepEqual((await put('/user-meta/k1', 'v1')).body, '');
    assert.deepEqual(JSON.parse((await curl(rig.host, '/user-meta')).body), { k1: 'v1' });
    for (const value of ['', ' blanks and\nlines\n', '{"a":1}', '"quoted"', 'ü', '\ufeffbom']) {
      assert.equal((await put('/user-meta/k1', value)).status, 200);
      assert.deepEqual(JSON.parse((await curl(rig.host, '/user-meta')).body), { k1: value });
    }
    assert.equal((await put('/user-meta/k1', 'chunked', '-H', 'Transfer-Encoding: chunked')).status, 200);
    assert.equal(rig.world.metadata.user.get('k1'), 'chunked');
  });

  it('shows a value of device-meta that is a JSON document as that, and nothing else so', async () => {
    const document = '{"total":9007199254740993,"a.b":[1]}';
    const values: readonly (readonly [string, string])[] = [
      ['storage', document],
      ['list', '[1,2]'],
      ['number', '12'],
      ['half', '{"a":'],
      ['quoted', '"x"'],
      ['__proto__', '{}'],
    ];
    for (const [key, value] of values) assert.equal((await put(`/device-meta/${key}`, value)).status, 200);
    const { body } = await curl(rig.host, '/device-meta');
    assert.equal(
      body,
      `{"__proto__":{},"half":"{\\"a\\":","list":[1,2],"number":"12","quoted":"\\"x\\"","storage":${document}}`,
    );
  });

  it('gives all of it, however many messages that takes', async () => {
    for (let index = 0; index < 14; index += 1) rig.world.metadata.user.set(`k${index}`, 'v'.repeat(32_000));
    const { body } = await curl(rig.host, '/user-meta');
    assert.equal(Object.keys(JSON.parse(body)).length, 14);
  });

  it('decodes the key, and refuses one that leads anywhere', async () => {
    assert.equal((await put('/user-meta/a%20b.gr%C3%B6%C3%9Fe', 'v')).status, 200);
    assert.ok(rig.world.metadata.user.has('a b.größe'));
    const wrong = ['..', '.', '%2e%2e', '..%2fx', 'a%2fb', 'a%00', 'a%0a', 'a..b', '.new', `${'k'.repeat(201)}`];
    for (const key of wrong) {
      for (const answer of [await put(`/user-meta/${key}`, 'v'), await remove(`/user-meta/${key}`)]) {
        assert.equal(answer.status, 400, key);
        assert.match(answer.body, /^\{"Error":"Metadata key '.*' is not valid: /);
      }
    }
    for (const path of ['/user-meta/', '/user-meta/a/b', '/user-meta/%ff'])
      assert.equal((await put(path, 'v')).status, 404);
    assert.deepEqual([...rig.world.metadata.user.keys()], ['a b.größe']);
  });

  it('refuses values that are too long, or no text, and says why', async () => {
    const long = await put('/user-meta/k1', 'v'.repeat(32_769));
    assert.deepEqual(
      [long.status, long.body],
      [400, error("Metadata value of 'k1' is not valid: it has 32769 bytes, at most 32768 are allowed")],
    );
    assert.equal((await put('/user-meta/k1', 'v'.repeat(32_768))).status, 200);
    assert.equal((await put('/user-meta/k1', 'v'.repeat(70_000))).status, 413);
    assert.deepEqual((await put('/user-meta/k1', 'a\0b')).status, 400);

    const request = 'PUT /user-meta/k1 HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n\xe4\xf6';
    assert.match(await sendRaw(rig.host, request), /^HTTP\/1.1 400 .*it has to be UTF-8/s);
    assert.equal(rig.world.metadata.user.get('k1')?.length, 32_768);
  });

  it('answers 404 when the key to delete is not there', async () => {
    await put('/device-meta/k1', 'v1');
    assert.deepEqual([(await remove('/device-meta/k1')).status, (await remove('/device-meta/k1')).status], [200, 404]);
    assert.equal((await remove('/user-meta/k1')).body, error("Metadata key 'k1' not found"));
  });

  it('tells a full disk in the words that clients compare, and other refusals in ours', async () => {
    rig.world.metadataRefusal = { code: 'WRITE_FAILED', full: true, reason: 'ENOSPC' };
    const full = await put('/user-meta/k1', 'v');
    assert.deepEqual([full.status, full.body], [507, '{"Error":"Not enough disk space available"}']);
    rig.world.metadataRefusal = { code: 'WRITE_FAILED', full: false, reason: 'EROFS: read-only file system' };
    assert.match((await remove('/user-meta/k1')).body, /cannot be written: EROFS/);
    rig.world.metadataRefusal = { code: 'KEPT_BY_BERTH' };
    const own = await put('/device-meta/time', 'v');
    assert.deepEqual(
      [own.status, own.body],
      [409, error("Metadata key 'time' is kept by Berth itself; take another one")],
    );
  });

  it('refuses other methods, and containers of no role', async () => {
    assert.equal((await curl(rig.host, '/user-meta', ['-X', 'PUT', '-d', 'x'])).status, 400);
    assert.equal((await curl(rig.host, '/user-meta/k1')).status, 400);
    for (const path of ['/user-meta', '/device-meta', '/user-meta/waits.k']) {
      assert.equal((await curl(rig.socketOf('waits'), path)).status, 403);
      assert.equal((await curl(rig.socketOf('waits'), path, ['-X', 'PUT', '-d', 'x'])).status, 403);
    }
    assert.equal((await curl(rig.socketOf('web'), '/user-meta')).status, 200);
  });
});
