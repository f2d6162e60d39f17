// Objects, revisions and commands over HTTP, sent as the stock client sends them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { newWorld } from './fake-peers.ts';
import { TOO_LARGE } from './fake-steps.ts';
import { curl, parseAnswer, type Rig, sendRaw, startRig, until } from './rig.ts';

const CONTENT = 'an object\n';
const DIGEST = createHash('sha256').update(CONTENT).digest('hex');
const OTHER = 'f'.repeat(64);

let rig: Rig;
before(async () => {
  rig = await startRig();
});
after(() => rig.stop());
beforeEach(() => {
  const { store } = rig.world;
  store.objects.clear();
  store.problems = [];
  store.roomBytes = 1 << 30;
  store.busy = undefined;
});

/** The ways in which clients send a body. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  'with a length and identity': [
    '-T',
    '-',
    '-H',
    'Transfer-Encoding: identity',
    '-H',
    `Content-Length: ${CONTENT.length}`,
  ],
  'in chunks': ['-T', '-'],
  'as data': ['-X', 'PUT', '--data-binary', '@-'],
};

describe('ctl.objects', () => {
  for (const [way, args] of Object.entries(WAYS)) {
    it(`takes an object ${way}`, async () => {
      const answer = await curl(rig.host, `/objects/${DIGEST}`, args, CONTENT);
      assert.deepEqual([answer.status, answer.body], [200, '']);
      assert.equal(rig.world.store.objects.get(DIGEST)?.toString(), CONTENT);
      assert.equal(rig.world.store.uploads.size, 0);
    });
  }

  it('answers 200 to one that is there, having read it to its end', async () => {
    rig.world.store.objects.set(DIGEST, Buffer.from(CONTENT));
    const answer = await curl(rig.host, `/objects/${DIGEST}`, ['-T', '-'], CONTENT);
    assert.deepEqual([answer.status, answer.body], [200, '']);
  });

  it('answers 422 to a wrong checksum with the text that clients compare, and keeps nothing', async () => {
    const answer = await curl(rig.host, `/objects/${OTHER}`, ['-T', '-'], CONTENT);
    assert.deepEqual([answer.status, answer.body], [422, '{"Error":"Object has bad checksum"}']);
    assert.equal(rig.world.store.objects.size, 0);
    assert.deepEqual(readdirSync(rig.world.store.folder), []);
  });

  it('answers 507 when there is no room, before and while it is sent', async () => {
    rig.world.store.roomBytes = 4;
    for (const args of Object.values(WAYS)) {
      const answer = await curl(rig.host, `/objects/${DIGEST}`, args, CONTENT);
      assert.deepEqual([answer.status, answer.body], [507, '{"Error":"Not enough disk space available"}']);
    }
    assert.deepEqual(readdirSync(rig.world.store.folder), []);
  });

  it('answers 507 to a length that no disk has room for, and no number of ours can hold', async () => {
    rig.world.store.roomBytes = Number.MAX_SAFE_INTEGER;
    for (const path of [`/objects/${OTHER}`, '/steps/locals/huge']) {
      const head = `PUT ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
      const answer = parseAnswer(
        await sendRaw(rig.host, `${head}Expect: 100-continue\r\nContent-Length: 9007199254740993\r\n\r\n`),
      );
      assert.deepEqual([answer.status, answer.body], [507, '{"Error":"Not enough disk space available"}'], path);
    }
  });

  it('answers 400 to a name that is no sha256', async () => {
    for (const name of ['x', DIGEST.toUpperCase(), `${DIGEST}0`, '..%2f..%2fetc%2fpasswd']) {
      assert.equal((await curl(rig.host, `/objects/${name}`, ['-T', '-'], CONTENT)).status, 400, name);
      assert.equal((await curl(rig.host, `/objects/${name}`)).status, 400, name);
    }
  });

  it('leaves no upload where nobody answered that it has begun', async () => {
    const { store } = rig.world;
    store.answersNoBegin = true;
    try {
      assert.notEqual((await curl(rig.host, `/objects/${DIGEST}`, ['-T', '-'], CONTENT)).status, 200);
      await until(() => store.uploads.size === 0);
      assert.deepEqual(readdirSync(store.folder), []);
    } finally {
      store.answersNoBegin = false;
    }
  });

  it('forgets an upload whose client hangs up in the middle', async () => {
    const head = `PUT /objects/${DIGEST} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n\r\n`;
    const client = connect(rig.host, () => client.write(`${head}half`));
    await until(() => readdirSync(rig.world.store.folder).length > 0);
    client.destroy();
    await until(() => readdirSync(rig.world.store.folder).length === 0);
  });

  it('gives the bytes back, and 404 for what is not there', async () => {
    mkdirSync(join(rig.folder, 'objects'), { recursive: true });
    writeFileSync(join(rig.folder, 'objects', DIGEST), CONTENT);
    const answer = await curl(rig.host, `/objects/${DIGEST}`);
    assert.deepEqual([answer.status, answer.body], [200, CONTENT]);
    assert.match(answer.headers, /Content-Type: application\/octet-stream/);
    assert.equal((await curl(rig.host, `/objects/${OTHER}`)).status, 404);
  });

  /** Descriptors of this process on the object. */
  const openOnes = (): readonly string[] =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === join(rig.folder, 'objects', DIGEST);
      } catch {
        return false;
      }
    });
  /** From now on, `stat` of open files is this one, until the test ends. */
  const statIs = async (t: TestContext, stat: (real: () => Promise<unknown>) => Promise<unknown>): Promise<void> => {
    mkdirSync(join(rig.folder, 'objects'), { recursive: true });
    writeFileSync(join(rig.folder, 'objects', DIGEST), CONTENT);
    const file = await openFile(join(rig.folder, 'objects', DIGEST));
    const FileHandle = Object.getPrototypeOf(file);
    await file.close();
    const real = FileHandle.stat;
    t.mock.method(FileHandle, 'stat', function (this: unknown) {
      return stat(() => real.call(this));
    });
  };

  it('leaves no file open for a client that is gone before it is answered', async (t) => {
    const client = new Socket();
    let asked = 0;
    await statIs(t, async (real) => {
      asked += 1;
      await once(client, 'close');
      return await real();
    });
    client.resume().connect(rig.host);
    client.write(`GET /objects/${DIGEST} HTTP/1.1\r\n\r\n`);
    await until(() => asked === 1);
    assert.equal(openOnes().length, 1);
    // It ends the connection at once, while an answer of it is due.
    client.write('CONNECT a:1 HTTP/1.1\r\n\r\n');
    await until(() => openOnes().length === 0);
  });

  it('leaves none open that it cannot read', async (t) => {
    await statIs(t, () => Promise.reject(new Error('EIO')));
    assert.equal((await curl(rig.host, `/objects/${DIGEST}`)).status, 500);
    assert.deepEqual(openOnes(), []);
  });

  it('lists sizes as texts', async () => {
    rig.world.store.objects.set(DIGEST, Buffer.from(CONTENT));
    const { body } = await curl(rig.host, '/objects');
    assert.deepEqual(JSON.parse(body), [{ sha256: DIGEST, size: String(CONTENT.length) }]);
  });
});

describe('ctl.steps', () => {
  it('takes a state below locals/, lists it and tells its progress', async () => {
    assert.equal((await curl(rig.host, '/steps/locals/one', ['-T', '-'], '{}')).status, 200);
    const steps = JSON.parse((await curl(rig.host, '/steps')).body);
    assert.deepEqual(
      steps.map(({ name }: { name: string }) => name),
      ['0', 'locals/one'],
    );
    const { status, body } = await curl(rig.host, '/steps/locals/one/progress');
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), newWorld().store.steps.get('0')?.progress);
    assert.equal((await curl(rig.host, '/steps/current/progress')).status, 200);
    assert.equal((await curl(rig.host, '/steps/9/progress')).status, 404);
  });

  it('answers 400 to a name that no local step has', async () => {
    const refused = { status: 400, body: '{"Error":"Request has bad step name"}' };
    for (const path of ['/steps/7', '/steps/locals/a/b', '/steps/locals/a%2fb']) {
      const { status, body } = await curl(rig.host, path, ['-T', '-'], '{}');
      assert.deepEqual({ status, body }, refused, path);
    }
  });

  it('answers 422 with the text that clients compare, and says what is wrong beside it', async () => {
    rig.world.store.problems = [{ path: 'a/run.json', code: 'X', message: 'is – wrong' }];
    const answer = await curl(rig.host, '/steps/locals/one', ['-T', '-'], '{}');
    assert.deepEqual([answer.status, answer.body], [422, '{"Error":"State verification has failed"}']);
    assert.match(answer.headers, /Berth-Problems: \["a\/run\.json: is \\u2013 wrong"\]/);
  });

  it('says once in the log what the text that clients compare leaves out, and of many problems some', async () => {
    const message = 'x'.repeat(300);
    const many = Array.from({ length: 64 }, (_, n) => ({ path: `${n}/run.json`, code: 'X', message }));
    for (const [problems, path, said] of [
      [
        [
          { path: 'a/run.json', code: 'X', message: 'is wrong' },
          { path: '', code: 'Y', message: 'all of it' },
        ],
        '/steps/locals/one',
        /^PUT \/steps\/locals\/one of the host: State verification has failed: a\/run.json: is wrong; all of it$/,
      ],
      [many, '/steps/locals/one', /failed: 0\/run\.json: x{300}; 1\/run.{3000,4000}… and more$/],
      [[], '/steps/7', /^PUT \/steps\/7 of the host: Request has bad step name: .*locals/],
    ] as const) {
      rig.world.store.problems = [...problems];
      rig.warnings.length = 0;
      await curl(rig.host, path, ['-T', '-'], '{}');
      assert.equal(rig.warnings.length, 1, path);
      assert.match(rig.warnings[0] ?? '', said);
    }
  });

  it('answers the state as it was put', async () => {
    mkdirSync(join(rig.folder, 'trails/0/.pvr'), { recursive: true });
    writeFileSync(join(rig.folder, 'trails/0/.pvr/json'), '{ "#spec": 1 }');
    for (const name of ['0', 'current']) assert.equal((await curl(rig.host, `/steps/${name}`)).body, '{ "#spec": 1 }');
    for (const name of ['9', 'locals/9', '..', '%2e%2e']) {
      assert.equal((await curl(rig.host, `/steps/${name}`)).status, 404, name);
    }
  });

  it('keeps a commit message, if it is not too long', async () => {
    assert.equal((await curl(rig.host, '/steps/0/commitmsg', ['-X', 'PUT', '-d', 'mine'])).status, 200);
    assert.equal(rig.world.store.steps.get('0')?.commitmsg, 'mine');
    assert.equal((await curl(rig.host, '/steps/0/commitmsg', ['-X', 'PUT', '-d', 'x'.repeat(513)])).status, 400);
  });
});

describe('ctl.commands', () => {
  const send = (body: string) => curl(rig.host, '/commands', ['-X', 'POST', '-d', body]);

  it('passes a command on and answers at once', async () => {
    assert.equal((await send('{"op":"LOCAL_RUN","payload":"0"}')).status, 200);
    assert.equal((await send('{"op":"DEFER_REBOOT","payload":30}')).status, 200);
    assert.equal((await send('{"op":"RUN_GC"}')).status, 200);
    assert.deepEqual(rig.world.store.commands, ['LOCAL_RUN 0', 'DEFER_REBOOT 30', 'RUN_GC ']);
  });

  it('answers 503 with Retry-After while another one is in progress', async () => {
    rig.world.store.busy = 'an update is in progress';
    const { status, headers, body } = await send('{"op":"LOCAL_RUN","payload":"0"}');
    assert.equal(status, 503);
    assert.match(headers, /Retry-After: 3/);
    assert.match(body, /an update is in progress/);
  });

  it('names what it does not take', async () => {
    for (const [body, status, text] of [
      ['', 400, /Command has no data/],
      ['{', 400, /it is no JSON/],
      ['{}', 400, /it has no op/],
      ['{"op":"EXPLODE"}', 400, /Command op 'EXPLODE' is unknown: there are LOCAL_RUN/],
      ['{"op":"RUN_GC","payload":{}}', 400, /bad payload/],
      ['{"op":"GO_REMOTE"}', 409, /GO_REMOTE is not supported: not in this build/],
      ['{"op":"UPDATE_METADATA","payload":{"key":"a","value":"b"}}', 409, /UPDATE_METADATA is not supported/],
      ['{"op":"XCONNECT_GRAPH","payload":[]}', 409, /XCONNECT_GRAPH is not supported/],
      ['{"op":"LOCAL_RUN","payload":"locals/none"}', 404, /Step 'locals\/none' not found/],
      [`{"op":"MAKE_FACTORY","payload":"${TOO_LARGE}"}`, 500, /Storage failed: the disk is full/],
    ] as const) {
      const answer = await send(body);
      assert.equal(answer.status, status, body);
      assert.match(answer.body, text);
    }
  });

  it('collects garbage and says how much', async () => {
    assert.equal((await curl(rig.host, '/storage/gc', ['-X', 'POST'])).body, '{"reclaimed":42}');
  });
});
