// A short form of `npm run fuzz`: the same requests every time.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fuzzCase } from '../../scripts/fuzz/case.ts';
import { judge } from '../../scripts/fuzz/judge.ts';
import { fuzz } from '../../scripts/fuzz/run.ts';

const SEED = 20_260_101;
const REQUESTS = 2_000;
const MB = 1_000_000;

describe('fuzz of the control API', () => {
  it('neither crashes nor grows, and is answered in the shape that clients know', async () => {
    const { requests, failures, statuses, before, after } = await fuzz({ seed: SEED, requests: REQUESTS });
    assert.deepEqual(failures, []);
    assert.ok(requests >= REQUESTS);
    // Rarer ones come and go with every endpoint that is added.
    for (const status of ['200', '400', '403', '404', '503']) assert.ok((statuses[status] ?? 0) > 0, status);
    assert.ok(after.heapBytes < before.heapBytes + 4 * MB, `heap ${before.heapBytes} → ${after.heapBytes}`);
    assert.ok(after.externalBytes < before.externalBytes + 4 * MB);
    assert.ok(after.descriptors < before.descriptors + 40);
  });

  it('makes the same case of the same seed and number', () => {
    for (let number = 0; number < 200; number += 1) assert.deepEqual(fuzzCase(SEED, number), fuzzCase(SEED, number));
    assert.notDeepEqual(fuzzCase(1, 0).pieces, fuzzCase(2, 0).pieces);
  });

  it('notices failures, errors of another shape, and half an answer', () => {
    const sent = [{ method: 'GET', target: '/groups' }];
    const fuzzed = { number: 0, requests: 1, socket: 'host', pieces: [], end: 'half', sent } as const;
    const answer = (status: number, body: string) =>
      Buffer.from(
        `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    const problems = (bytes: Buffer): number => judge(fuzzed, bytes).problems.length;
    assert.equal(problems(answer(200, '[]')), 0);
    assert.equal(problems(answer(503, '{"Error":"later"}')), 0);
    for (const wrong of [
      Buffer.alloc(0),
      answer(500, '{"Error":"Internal"}'),
      answer(404, '{"Error": "spaced"}'),
      answer(200, '[{"name":1}]'),
      answer(200, '[]').subarray(0, -1),
      Buffer.concat([answer(200, '[]'), answer(200, '[]')]),
      Buffer.from('nonsense'),
    ]) {
      assert.ok(problems(wrong) > 0, wrong.toString());
    }
  });
});
