import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { asNodeReadsIt } from '../../services/ctl-svc/first-bytes.ts';
import { curl, parseAnswer, sendRaw, startRig } from './rig.ts';

const rewritten = (text: string): string => asNodeReadsIt(Buffer.from(text, 'latin1')).toString('latin1');

describe('ctl-svc first bytes', () => {
  it('take the header out that says there is no coding, where a length says how much comes', () => {
    const before = 'PUT /objects/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc';
    assert.equal(rewritten(before), 'PUT /objects/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc');
  });

  it('stay as they are without a length, with another coding, in a body, and in half a head', () => {
    for (const text of [
      'PUT / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n',
      'PUT / HTTP/1.1\r\nTransfer-Encoding: identity, chunked\r\nContent-Length: 3\r\n\r\nabc',
      'PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc',
      'PUT / HTTP/1.1\r\nContent-Length: 40\r\n\r\na\r\nTransfer-Encoding: identity\r\n',
      'PUT / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n',
    ]) {
      assert.equal(rewritten(text), text);
    }
  });

  it('keep the first of the lengths of a request of HTTP/1.0', () => {
    for (const second of ['', ' ', ' 0', ' 5', ' 7 ', ' 5\r\nContent-length:']) {
      const identity = 'Transfer-Encoding: identity\r\n';
      for (const between of ['', 'A: b\r\n', identity]) {
        const head = `PUT /objects/a HTTP/1.0\r\nHost: x\r\nContent-Length:5\r\n${between}`;
        const rest = '\r\n\r\nbytes\r\nContent-Length: 3\r\n\r\n';
        assert.equal(
          rewritten(`${head}Content-Length:${second}${rest}`),
          head.replace(identity, '').slice(0, -2) + rest,
        );
      }
    }
  });

  it('keep all lengths where another request may follow, the first says nothing, or something else says where it ends', () => {
    for (const text of [
      'PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nbytes',
      'PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nbytes',
      'PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nbytes',
      'PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nbytes',
      'PUT / HTTP/1.0\r\nContent-Length:\r\nContent-Length: 5\r\n\r\nbytes',
      'PUT / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 5, 5\r\n\r\nbytes',
      'PUT / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length:\r\n 3\r\n\r\nbytes',
      'GET /a HTTP/1.1\r\n\r\nPUT / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nbytes',
    ]) {
      assert.equal(rewritten(text), text);
    }
  });

  it('have a path of ASCII: bytes of other letters are encoded, and no others', () => {
    assert.equal(
      rewritten('PUT /user-meta/K\xc3\xbcche%20a HTTP/1.1\r\nX: \xc3\xbc\r\nContent-Length: 2\r\n\r\n\xc3\xbc'),
      'PUT /user-meta/K%C3%BCche%20a HTTP/1.1\r\nX: \xc3\xbc\r\nContent-Length: 2\r\n\r\n\xc3\xbc',
    );
    const noRequest = 'K\xc3\xbcche / HTTP/1.1\r\n\r\n';
    assert.equal(rewritten(noRequest), noRequest);
  });

  it('lose nothing but that header, whatever comes', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => Buffer.from(bytes).equals(asNodeReadsIt(Buffer.from(bytes)))));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (body) => {
        const head = 'PUT / HTTP/1.1\r\nContent-Length: 64\r\ntransfer-encoding:identity \r\n\r\n';
        const after = asNodeReadsIt(Buffer.concat([Buffer.from(head), body]));
        return after.equals(Buffer.concat([Buffer.from('PUT / HTTP/1.1\r\nContent-Length: 64\r\n\r\n'), body]));
      }),
    );
  });
});

describe('ctl-svc with the headers of the stock client', () => {
  it('takes an upload that says identity and its length, from standard input and from a file', async () => {
    const rig = await startRig();
    try {
      const body = '{"action":"start"}';
      const headers = ['-H', 'Transfer-Encoding: identity', '-H', `Content-Length: ${body.length}`];
      for (const args of [
        ['-X', 'PUT', '--data-binary', '@-', '-H', 'Transfer-Encoding: identity'],
        [...headers, '-T', '-'],
      ]) {
        const { status } = await curl(rig.host, '/containers/web', args, body);
        assert.equal(status, 200, args.join(' '));
      }
    } finally {
      rig.stop();
    }
  });

  it('takes what pvcurl sends in place of curl, and reads nothing behind it', async () => {
    const rig = await startRig(['web']);
    try {
      const body = '{"action":"start"}';
      const head = `PUT /containers/web HTTP/1.0\r\nHost: localhost\r\nContent-Length:${body.length}\r\n`;
      const identity = 'Content-Type: application/octet-stream\r\nTransfer-Encoding: identity\r\n';
      for (const socket of [rig.host, rig.socketOf('web')]) {
        for (const second of ['', '0', body.length]) {
          const request = `${head}${identity}Content-Length: ${second}\r\n\r\n${body}`;
          const { status } = parseAnswer(await sendRaw(socket, request));
          assert.equal(status, 200, `second length '${second}'`);
        }
        rig.world.asked.length = 0;
        const answers = await sendRaw(
          socket,
          `${head}Content-Length: 0\r\n\r\n${body}${body}GET /containers HTTP/1.1\r\n\r\n`,
        );
        assert.ok(answers.split('HTTP/1.1 ').length <= 2, answers);
        assert.ok(rig.world.asked.length <= 1);
      }
    } finally {
      rig.stop();
    }
  });
});
