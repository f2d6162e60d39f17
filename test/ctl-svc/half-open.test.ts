// Clients that say that they send no more and wait for their answer, as nc -N does, on which the stock client falls back without curl.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { curl, parseAnswer, type Rig, startRig, until } from './rig.ts';

describe('ctl.half-open connections', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['web']);
  });
  after(() => rig.stop());

  const exchange = (bytes: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      const socket = connect({ path: rig.host, allowHalfOpen: true }, () => socket.end(bytes));
      socket.setEncoding('utf8');
      socket.on('data', (chunk: string) => {
        text += chunk;
      });
      socket.on('error', reject);
      socket.on('end', () => resolve(text));
    });

  it('are answered and then ended, also over HTTP/1.0', async () => {
    for (const version of ['1.0', '1.1']) {
      const head = `PUT /containers/web HTTP/${version}\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
      const { status, body } = parseAnswer(await exchange(`${head}Content-Length: 17\r\n\r\n{"action":"stop"}`));
      assert.deepEqual([status, body], [200, ''], version);
      const listed = parseAnswer(await exchange(`GET /groups HTTP/${version}\r\nContent-Length: 0\r\n\r\n`));
      assert.deepEqual([listed.status, JSON.parse(listed.body)], [200, rig.world.groups]);
    }
  });

  it('are told what is wrong when the body is not whole', async () => {
    const { status, body } = parseAnswer(await exchange('PUT /user-meta/a HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort'));
    assert.deepEqual([status, body], [400, '{"Error":"Request is not valid HTTP/1.1"}']);
  });

  it('are told from those that are gone, whose request is taken back', async () => {
    assert.equal((await curl(rig.socketOf('web'), '/containers')).status, 200);
    rig.world.hanging.add('state-svc');
    const ask = 'PUT /containers/web HTTP/1.1\r\nContent-Length: 17\r\n\r\n{"action":"stop"}';
    const waiting = exchange(ask);
    // With nothing behind it, and with a request that nobody has looked at.
    const sent = [
      [rig.host, ask],
      [rig.socketOf('web'), ask],
      [rig.socketOf('web'), `${ask}${ask}`],
    ] as const;
    const gone = sent.map(([socket, bytes]) => {
      const client = connect(socket, () => client.write(bytes));
      return client;
    });
    await until(() => rig.bus.broker.queueDepth('state-svc') === 4);
    for (const client of gone) client.destroy();
    await until(() => rig.bus.broker.queueDepth('state-svc') === 1);
    rig.bus.kill('state-svc');
    assert.equal(parseAnswer(await waiting).status, 503);
  });
});
