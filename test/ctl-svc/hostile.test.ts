// Clients that send too much, too slowly, or no HTTP at all.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { CONTAINER_LIMITS } from '../../services/ctl-svc/http-server.ts';
import { curl, parseAnswer, type Rig, sendRaw, startRig, until } from './rig.ts';

describe('ctl.hostile clients', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['web', 'waits', 'base']);
    await curl(rig.host, '/containers');
  });
  after(() => rig.stop());

  const malformed: readonly (readonly [string, string, number, string])[] = [
    ['no HTTP', 'hello\r\n\r\n', 400, 'Request is not valid HTTP/1.1'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01', 400, 'Request is not valid HTTP/1.1'],
    ['a NUL in the path', 'GET /cont\0ainers HTTP/1.1\r\n\r\n', 400, 'Request is not valid HTTP/1.1'],
    ['an unknown version', 'GET / HTTP/9.9\r\n\r\n', 400, 'Request is not valid HTTP/1.1'],
    ['a header without a colon', 'GET / HTTP/1.1\r\nnonsense\r\n\r\n', 400, 'Request is not valid HTTP/1.1'],
    [
      'two lengths',
      'PUT /containers/web HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'Request is not valid HTTP/1.1',
    ],
    [
      'a broken chunk',
      'PUT /containers/web HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      400,
      'Request is not valid HTTP/1.1',
    ],
    [
      'a huge header',
      `GET /containers HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'Request header is larger than 16384 bytes',
    ],
  ];
  for (const [what, bytes, status, text] of malformed) {
    it(`answers ${status} in the exact shape to ${what}, and hangs up`, async () => {
      const answer = parseAnswer(await sendRaw(rig.host, bytes));
      assert.deepEqual([answer.status, answer.body], [status, JSON.stringify({ Error: text })]);
      assert.match(answer.headers, /^content-type: application\/json$/im);
    });
  }

  it('answers 413 to a body above 64 KiB, announced or not', async () => {
    const text = '{"Error":"Request body is larger than 65536 bytes"}';
    const announced = ['-X', 'PUT', '--data-binary', '@-'];
    for (const args of [
      announced,
      [...announced, '-H', 'Expect: 100-continue'],
      ['-T', '-', '-H', 'Expect:'],
      ['-T', '-'],
    ]) {
      const { status, body } = await curl(rig.host, '/containers/web', args, 'x'.repeat(70_000));
      assert.deepEqual([status, body], [413, text]);
    }
    assert.equal((await curl(rig.host, '/containers/web', ['-T', '-'], '{"action":"stop"}')).status, 200);
  });

  it('answers 413 to a client that is still sending, too, which would not read it if its connection ended', async () => {
    const head = 'PUT /containers/web HTTP/1.1\r\n';
    const size = 70_000;
    const [announced, inChunks] = [`Content-Length: ${size}\r\n\r\n`, 'Transfer-Encoding: chunked\r\n\r\n'];
    for (const [headers, first, rest] of [
      [announced, 'x'.repeat(100), 'x'.repeat(size - 100)],
      [inChunks, `11170\r\n${'x'.repeat(size)}\r\n`, `11170\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`],
    ] as const) {
      let text = '';
      const client = connect(rig.host, () => client.write(`${head}${headers}${first}`));
      const failed = new Promise<never>((_, reject) => client.on('error', reject));
      client.on('data', (chunk: Buffer) => {
        text += String(chunk);
      });
      // Whatever the server says to the first part, it has said by then.
      for (let turn = 0; turn < 100; turn += 1) await Promise.race([new Promise(setImmediate), failed]);
      await new Promise<void>((resolve, reject) => client.write(rest, (error) => (error ? reject(error) : resolve())));
      await Promise.race([until(() => text !== ''), failed]);
      client.destroy();
      assert.equal(parseAnswer(text).status, 413);
    }
  });

  it('reads no more than a bounded part of what is too large', async () => {
    const head = 'PUT /containers/web HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n';
    assert.equal(parseAnswer(await sendRaw(rig.host, head)).status, 413);
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const client = connect(rig.host, () => {
      client.write('PUT /containers/web HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n');
      const more = (): void => {
        while (client.writable && client.write(chunk));
      };
      client.on('drain', more);
      more();
    });
    let text = '';
    client.on('error', () => undefined);
    client.on('data', (answer: Buffer) => {
      text += String(answer);
    });
    await until(() => client.destroyed);
    assert.ok(client.bytesWritten < 8 * 1024 * 1024, `${client.bytesWritten} bytes`);
    assert.ok(text === '' || parseAnswer(text).status === 413, text);
  });

  it('answers 400 to a body that is not UTF-8', async () => {
    const head = 'PUT /containers/web HTTP/1.1\r\nConnection: close\r\nContent-Length: 16\r\n\r\n';
    assert.equal(parseAnswer(await sendRaw(rig.host, `${head}{"action":"st\xff\xfe"}`)).status, 400);
  });

  it('does not read what a caller without rights uploads', async () => {
    const head = 'PUT /objects/x HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n';
    const answer = parseAnswer(await sendRaw(rig.socketOf('base'), `${head}${'x'.repeat(10_000)}`));
    assert.equal(answer.status, 403);
    assert.match(answer.headers, /^connection: close$/im);
  });

  it('hears a small body out before it refuses, so that a client that is still sending reads why', async () => {
    for (const head of ['PUT /user-meta/a HTTP/1.1', 'GET /containers HTTP/1.1', 'PUT /nope HTTP/1.1']) {
      const answer = await new Promise<string>((resolve, reject) => {
        let text = '';
        const client = connect(rig.socketOf('base'), () => {
          client.write(`${head}\r\nConnection: keep-alive\r\nContent-Length: 10\r\n\r\nfirst`);
          setImmediate(() => client.write('later'));
        });
        client.setEncoding('utf8');
        client.on('error', reject);
        client.on('data', (chunk: string) => {
          text += chunk;
          client.end();
        });
        client.on('close', () => resolve(text));
      });
      assert.equal(parseAnswer(answer).status, 403);
      assert.doesNotMatch(answer, /^connection: close/im);
    }
  });

  it('answers pipelined requests in their order', async () => {
    const text = await sendRaw(
      rig.host,
      'GET /nope HTTP/1.1\r\n\r\nGET /groups HTTP/1.1\r\n\r\nPOST /groups HTTP/1.1\r\nConnection: close\r\n\r\n',
    );
    assert.deepEqual(
      [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
      ['404', '200', '400'],
    );
  });

  it('answers a whole request whatever follows it, in pieces too, as of a client that counts letters and not bytes', async () => {
    const body = '{"action":"start"}';
    const head = `PUT /containers/web HTTP/1.1\r\nUser-Agent: x\r\nContent-Length: ${body.length}\r\n\r\n`;
    for (const [before, count] of [
      ['', 1],
      ['GET /groups HTTP/1.1\r\nUser-Agent: x\r\n\r\n', 2],
    ] as const) {
      const first = await sendRaw(rig.host, `${before}${head}${body}ü\n`);
      const inPieces = await new Promise<string>((resolve) => {
        let text = '';
        const client = connect(rig.host, () => {
          client.write(`${before}${head}${body}ü\n`);
          setImmediate(() => client.write('and\r\nmore\r\n\r\n'));
        });
        client.setEncoding('latin1').on('data', (chunk: string) => {
          text += chunk;
        });
        client.on('error', () => undefined).on('close', () => resolve(text));
      });
      for (const text of [first, inPieces]) {
        const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status);
        assert.deepEqual(statuses.slice(0, count), Array(count).fill('200'), text);
      }
      assert.match(first, /connection: close/i);
    }
  });

  it('stores nothing of an HTTP/1.0 request whose length nobody says, and takes one that needs no body', async () => {
    for (const body of ['', 'value']) {
      const answer = parseAnswer(await sendRaw(rig.host, `PUT /user-meta/old HTTP/1.0\r\nHost: x\r\n\r\n${body}`));
      assert.deepEqual(
        [answer.status, answer.body],
        [400, '{"Error":"Request has no Content-Length, without which HTTP/1.0 has no body"}'],
      );
    }
    assert.deepEqual([...rig.world.metadata.user], []);
    assert.equal(parseAnswer(await sendRaw(rig.host, 'POST /storage/gc HTTP/1.0\r\n\r\n')).status, 200);
  });

  it('ends connections that say nothing or stop within a header', async () => {
    const [silent, slow] = await Promise.all([
      sendRaw(rig.host, ''),
      sendRaw(rig.host, 'GET /containers HTTP/1.1\r\nX:'),
    ]);
    for (const text of [silent, slow]) assert.equal(parseAnswer(text).status, 408);
  });

  it('lets a container that fills its socket disturb neither host nor other containers', async () => {
    const idle: Socket[] = Array.from({ length: 200 }, () => connect(rig.socketOf('base')));
    for (const socket of idle) socket.on('error', () => undefined);
    try {
      await until(() => idle.filter(({ destroyed }) => destroyed).length >= 200 - CONTAINER_LIMITS.maxConnections);
      assert.equal((await curl(rig.host, '/containers')).status, 200);
      assert.equal((await curl(rig.socketOf('web'), '/containers')).status, 200);
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });

  it('lets a container have a few requests wait, and tells it to come back with more', async () => {
    rig.world.hanging.add('state-svc');
    const signal = 'POST /signal HTTP/1.1\r\nContent-Length: 16\r\n\r\n{"type":"ready"}';
    // One of each connection waits at a time.
    const floods = Array.from({ length: CONTAINER_LIMITS.maxInFlight }, () => {
      const flood = connect(rig.socketOf('waits'), () => flood.write(signal.repeat(50)));
      return flood.on('error', () => undefined);
    });
    try {
      await until(() => rig.bus.broker.queueDepth('state-svc') >= CONTAINER_LIMITS.maxInFlight);
      const { status, body } = await curl(rig.socketOf('waits'), '/signal', ['-d', '{"type":"ready"}']);
      assert.equal(status, 503);
      assert.match(body, /^\{"Error":"Too many requests of this socket/);
      assert.equal(rig.bus.broker.queueDepth('state-svc'), CONTAINER_LIMITS.maxInFlight);
      assert.equal((await curl(rig.host, '/containers')).status, 200);
    } finally {
      for (const flood of floods) flood.destroy();
      rig.world.hanging.clear();
    }
    await until(() => rig.bus.broker.queueDepth('state-svc') === 0);
    assert.equal((await curl(rig.socketOf('waits'), '/signal', ['-d', '{"type":"ready"}'])).status, 200);
  });
});
