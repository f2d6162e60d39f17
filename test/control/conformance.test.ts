// Every command of the stock client, sent with its curl to a whole tree on real containers, and what it must get.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';
import { type StockAnswer, type StockClient, stockClient } from './stock-client.ts';

/** Its containers have to live for their stable_timeout of 30 s first. */
const STABLE_PATIENCE_MS = PATIENCE_MS + 60_000;

const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');
const error = (text: string): string => JSON.stringify({ Error: text });
const DONE: StockAnswer = { status: 200, content: '', exitCode: 0 };
const refused = (status: number, text: string): StockAnswer => ({ status, content: error(text), exitCode: 255 });
/** With all that a name may have and stay as it is in a path of curl. */
const GOOD = 'locals/-v1.0+b3~@=';
const ERROR = /^\{"Error":"(?:[^"\\]|\\.)+"\}$/;

function keysOf(answer: StockAnswer): string[][] {
  const rows: unknown = JSON.parse(answer.content);
  assert.ok(answer.exitCode === 0 && Array.isArray(rows), answer.content);
  return rows.map((row) => Object.keys(row));
}

describe('control: the stock client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-stock-'));
  let tree: Tree;
  let client: StockClient;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start(['--set', 'PV_UPDATER_COMMIT_DELAY=1']);
    await tree.up();
    client = stockClient(tree.socket);
  });
  after(async () => {
    await tree.close();
    rmSync(folder, { recursive: true });
  });

  const status = async (name: string): Promise<string | undefined> =>
    (await get(tree.socket, '/containers', containerRows)).find((row) => row.name === name)?.status;
  const becomes = (name: string, wanted: string) =>
    eventually(`${name} is ${wanted}`, PATIENCE_MS, async () => (await status(name)) === wanted);
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const command = (op: string, payload = '') =>
    client.json('POST', '/commands', `{"op":"${op}","payload":"${payload}"}`);
  /** While another is under way the client is told to come back. */
  const commandWhenFree = (op: string, payload = '') =>
    eventually(`${op} is taken`, PATIENCE_MS, async () => {
      const answer = await command(op, payload);
      return answer.status === 503 ? undefined : answer;
    });

  it('ls, containers ls', async () => {
    for (const keys of keysOf(await client.get('/containers'))) {
      const stock = ['name', 'group', 'status', 'status_goal', 'restart_policy', 'roles'];
      assert.deepEqual(keys.slice(0, stock.length), stock);
    }
  });

  it('containers stop, start, restart', async () => {
    const act = (name: string, action: string) => client.json('PUT', `/containers/${name}`, `{"action":"${action}"}`);
    assert.deepEqual(await act('net-client', 'stop'), DONE);
    await becomes('net-client', 'STOPPED');
    assert.deepEqual(await act('net-client', 'stop'), DONE);
    assert.deepEqual(await act('net-client', 'start'), DONE);
    await becomes('net-client', 'STARTED');
    assert.deepEqual(await act('net-client', 'start'), DONE);
    assert.deepEqual(await act('net-client', 'restart'), DONE);
    await becomes('net-client', 'STARTED');
    assert.deepEqual(await act('nope', 'stop'), refused(404, 'Container not found'));
  });

  it('groups ls', async () => {
    for (const keys of keysOf(await client.get('/groups'))) {
      assert.deepEqual(keys.slice(0, 4), ['name', 'status_goal', 'restart_policy', 'status']);
    }
  });

  it('signal ready, alive: from the host, and from a container that nobody waits for', async () => {
    for (const socket of [tree.socket, `${tree.rundir}/ctl/net-client/pv-ctrl`]) {
      const signal = (type: string) => stockClient(socket).json('POST', '/signal', `{"type":"${type}","payload":""}`);
      assert.deepEqual(await signal('ready'), refused(500, 'Signal not expected from this platform'));
      assert.deepEqual([(await signal('alive')).status, (await signal('alive')).exitCode], [500, 255]);
    }
  });

  for (const kind of ['device', 'user']) {
    it(`${kind === 'user' ? 'usrmeta' : 'devmeta'} save, ls, delete`, async () => {
      const path = `/${kind}-meta`;
      for (const value of ['a value', '', 'with "quotes", % and ä', '{"a":[1]}']) {
        assert.deepEqual(await client.text(`${path}/some.key`, value), DONE);
        const listed: unknown = JSON.parse((await client.get(path)).content);
        const shown = kind === 'device' && value.startsWith('{') ? JSON.parse(value) : value;
        assert.ok(typeof listed === 'object' && listed !== null);
        assert.deepEqual(Reflect.get(listed, 'some.key'), shown);
      }
      assert.deepEqual(await client.remove(`${path}/some.key`), DONE);
      assert.equal((await client.remove(`${path}/some.key`)).status, 404);
    });
  }

  it('buildinfo, graph ls, config ls, conf ls', async () => {
    assert.match((await client.get('/buildinfo')).content, /^berth \d/);
    assert.equal((await client.get('/xconnect-graph')).content, '[]');
    const config: unknown = JSON.parse((await client.get('/config')).content);
    assert.ok(typeof config === 'object' && config !== null && 'storage.mntpoint' in config);
    for (const keys of keysOf(await client.get('/config2'))) assert.deepEqual(keys, ['key', 'value', 'modified']);
  });

  it('objects put: a file, stdin of a known size, stdin in chunks; get, ls', async () => {
    // Above a megabyte curl waits for leave to go on.
    const big = 'x'.repeat(1_500_000);
    assert.deepEqual(await client.putObject(file('small', 'small'), sha256('small')), DONE);
    assert.deepEqual(await client.putObject(file('big', big), sha256(big)), DONE);
    assert.deepEqual(await client.putObject('-', sha256('from stdin'), 10, 'from stdin'), DONE);
    assert.deepEqual(await client.send(['-X', 'PUT', '-T', '-'], `/objects/${sha256('chunks')}`, 'chunks'), DONE);
    assert.deepEqual(await client.putObject(file('small', 'small'), sha256('small')), DONE);
    for (const content of ['small', big, 'from stdin', 'chunks']) {
      assert.ok((await client.getObject(sha256(content))).equals(Buffer.from(content)));
    }
    const listed = await client.get('/objects');
    assert.match(listed.content, new RegExp(`\\{"sha256":"${sha256(big)}","size":"1500000"\\}`));
    assert.equal((await client.getObject(sha256('absent'))).toString(), error('Object not found'));
  });

  it('objects put: a wrong checksum is exit code 60, no room 48, a bad name 255; nothing is kept', async () => {
    const bad = sha256('something else');
    for (const answer of [
      await client.putObject(file('small', 'small'), bad),
      await client.putObject('-', bad, 5, 'small'),
      await client.send(['-X', 'PUT', '-T', '-'], `/objects/${bad}`, 'small'),
    ]) {
      assert.deepEqual(answer, { status: 422, content: error('Object has bad checksum'), exitCode: 60 });
    }
    const full = await client.putObject('-', bad, 1e15, 'small');
    assert.deepEqual(full, { status: 507, content: error('Not enough disk space available'), exitCode: 48 });
    assert.equal((await client.putObject(file('small', 'small'), 'no-sha')).exitCode, 255);
    assert.doesNotMatch((await client.get('/objects')).content, new RegExp(bad));
  });

  it('steps ls, get, show-progress of what runs', async () => {
    for (const keys of keysOf(await client.get('/steps'))) {
      assert.deepEqual(keys.slice(0, 4), ['name', 'date', 'commitmsg', 'progress']);
    }
    const current = await client.get('/steps/current');
    assert.match(current.content, /"#spec": ?"pantavisor-service-system@1"/);
    assert.equal((await client.get('/steps/0')).content, current.content);
    const progress: unknown = JSON.parse((await client.get('/steps/current/progress')).content);
    assert.ok(typeof progress === 'object' && progress !== null);
    assert.deepEqual(Object.keys(progress).slice(0, 4), ['status', 'status-msg', 'progress', 'retries']);
    assert.equal((await client.get('/steps/nope')).exitCode, 255);
    assert.equal((await client.get('/steps/nope/progress')).exitCode, 255);
  });

  it('steps put with a message: a bad state is exit code 70, a bad name 255', async () => {
    const state = (await client.get('/steps/0')).content;
    const put = (name: string, content: string) => client.putStep(file('json', content), name);
    assert.deepEqual(await put(GOOD, state), DONE);
    assert.deepEqual(await client.text(`/steps/${GOOD}/commitmsg`, 'a message'), DONE);
    const row = `"name":"${GOOD.replace('+', '\\+')}","date":"[^"]+","commitmsg":"a message"`;
    assert.match((await client.get('/steps')).content, new RegExp(row));
    const failed = { status: 422, content: error('State verification has failed'), exitCode: 70 };
    for (const bad of ['{', '[]', '{}', state.replace('{', `{"net-client/x":"${sha256('absent')}",`)]) {
      assert.deepEqual(await put('locals/bad', bad), failed, bad.slice(0, 100));
    }
    assert.equal((await client.get('/steps/locals/bad')).status, 404);
    for (const name of ['other', 'locals/a/b', `locals/${'x'.repeat(65)}`]) {
      assert.deepEqual(await put(name, state), refused(400, 'Request has bad step name'), name);
    }
    assert.equal((await client.text(`/steps/${GOOD}/commitmsg`, 'x'.repeat(513))).exitCode, 255);
  });

  it('steps install: what is missing of the objects, then the state', async () => {
    const content = 'shown in net-server';
    const state = (await client.get('/steps/0')).content;
    const extended = state.replace('{', `{"_config/net-server/etc/motd":"${sha256(content)}",`);
    assert.equal((await client.get('/objects')).content.includes(sha256(content)), false);
    assert.deepEqual(await client.putObject(file('motd', content), sha256(content)), DONE);
    assert.deepEqual(await client.putStep(file('json', extended), 'locals/installed'), DONE);
    assert.equal((await client.get('/steps/locals/installed')).content, extended);
  });

  it('cmd run: accepted, one at a time (75), seen in the progress; an unknown revision is 255', async () => {
    assert.equal((await command('LOCAL_RUN', 'locals/nope')).exitCode, 255);
    assert.deepEqual(await command('LOCAL_RUN', GOOD), DONE);
    const second = await command('RUN_GC');
    assert.ok(second.exitCode === 75 || second.exitCode === 0, second.content);
    await eventually(`${GOOD} is through`, STABLE_PATIENCE_MS, async () =>
      /"status":"(DONE|UPDATED)"/.test((await client.get(`/steps/${GOOD}/progress`)).content),
    );
    await tree.up();
  });

  it('cmd of every other op is accepted, or refused with the reason', async () => {
    for (const [op, payload] of [
      ['RUN_GC', ''],
      ['MAKE_FACTORY', ''],
      ['ENABLE_SSH', ''],
      ['DISABLE_SSH', ''],
      ['GO_REMOTE', ''],
      ['UNCLAIM', ''],
      ['DEFER_REBOOT', '60'],
    ] as const) {
      const { status: code, content } = await commandWhenFree(op, payload);
      if (code === 200) assert.equal(content, '', op);
      else assert.ok(code === 409 && ERROR.test(content), `${op}: ${code} ${content}`);
    }
    for (const body of ['', '{', '{"op":"NO_SUCH_OP","payload":""}', '{"payload":""}', '[]']) {
      assert.equal((await client.json('POST', '/commands', body)).status, 400, body);
    }
  });

  it('daemons ls, stop, start, restart', async () => {
    for (const keys of keysOf(await client.get('/daemons'))) assert.deepEqual(keys, ['name', 'pid', 'respawn']);
    const act = (name: string, action: string) => client.json('PUT', `/daemons/${name}`, `{"action":"${action}"}`);
    for (const action of ['stop', 'start', 'stop', 'start']) assert.deepEqual(await act('net-svc', action), DONE);
    await eventually('net-svc is back', PATIENCE_MS, async () =>
      /"name":"net-svc","pid":[1-9]/.test((await client.get('/daemons')).content),
    );
    assert.deepEqual(await act('nope', 'stop'), refused(404, 'Daemon not found'));
  });

  it('storage gc', async () => {
    const answer = await eventually('garbage may be collected', PATIENCE_MS, async () => {
      const now = await client.send(['-X', 'POST'], '/storage/gc');
      return now.status === 503 ? undefined : now;
    });
    if (answer.status === 200) assert.match(answer.content, /^\{"reclaimed":\d+\}$/);
    else assert.match(answer.content, ERROR);
  });

  it('answers the client’s way without curl: HTTP/1.0, and no more to come', async () => {
    const exchange = (bytes: string): Promise<string> =>
      new Promise((resolve, reject) => {
        let received = '';
        const socket = connect({ path: tree.socket, allowHalfOpen: true }, () => socket.end(bytes));
        socket.setEncoding('utf8');
        socket.on('data', (chunk: string) => {
          received += chunk;
        });
        socket.on('error', reject);
        socket.on('end', () => resolve(received));
      });
    const head = (method: string, path: string) =>
      `${method} ${path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    assert.match(
      await exchange(`${head('GET', '/containers')}Content-Length: 0\r\n\r\n`),
      /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\[\{/,
    );
    const put = `${head('PUT', '/user-meta/nc')}Content-Length: 5\r\n\r\nvalue`;
    assert.match(await exchange(put), /^HTTP\/1\.1 200 /);
    const object = `${head('PUT', `/objects/${sha256('nc')}`)}Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nnc`;
    assert.match(await exchange(object), /^HTTP\/1\.1 200 /);
    // Its pvcurl adds what stat says of standard input: of busybox nothing, else the size, which is 0 for a pipe.
    for (const [content, added] of [
      ['busybox', ''],
      ['a pipe', '0'],
      ['a file', '6'],
      ['', '0'],
    ] as const) {
      const path = `/objects/${sha256(content)}`;
      const lines = `Content-Length:${content.length}\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: identity\r\n`;
      const request = `PUT ${path} HTTP/1.0\r\nHost: localhost\r\n${lines}Content-Length: ${added}\r\n\r\n${content}`;
      assert.match(await exchange(request), /^HTTP\/1\.1 200 /, content);
      const row = `{"sha256":"${sha256(content)}","size":"${content.length}"}`;
      assert.ok((await client.get('/objects')).content.includes(row), content);
    }
  });

  it('cmd reboot with a message: the tree comes back; cmd poweroff ends it', async () => {
    const pidOf = async () => (await tree.up()).map(({ pid }) => pid);
    const before = await pidOf();
    assert.deepEqual(await commandWhenFree('REBOOT_DEVICE', 'a message'), DONE);
    await eventually('the containers are others', PATIENCE_MS, async () => {
      const rows = await get(tree.socket, '/containers', containerRows).catch(() => []);
      return rows.length > 0 && rows.every(({ pid }) => pid !== null && !before.includes(pid));
    });
    await tree.up();
    assert.deepEqual(await commandWhenFree('POWEROFF_DEVICE', 'a message'), DONE);
    assert.equal(await tree.ended(), 0);
  });
});
