import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { withoutIdentity } from '../../services/ctl-svc/first-bytes.ts';
import { curl, startRig } from './rig.ts';

const rewritten = (text: string): string => withoutIdentity(Buffer.from(text, 'latin1')).toString('latin1');

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

  it('lose nothing but that header, whatever comes', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => Buffer.from(bytes).equals(withoutIdentity(Buffer.from(bytes)))));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (body) => {
        const head = 'PUT / HTTP/1.1\r\nContent-Length: 64\r\ntransfer-encoding:identity \r\n\r\n';
        const after = withoutIdentity(Buffer.concat([Buffer.from(head), body]));
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
});
