import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createUploadTurns } from '../../services/ctl-svc/upload-turns.ts';

const LONG_MS = 60_000;

/** One that goes on until it is told to end. */
function held(): { readonly act: () => Promise<string>; readonly end: () => void } {
  let end: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { act: () => over.then(() => 'done'), end };
}
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('ctl-svc turns of uploads', () => {
  const stays = new AbortController().signal;

  it('come in their order, so many at a time, also after one that failed', async () => {
    const turns = createUploadTurns({ atATime: 2, waiting: 8, patienceMs: LONG_MS });
    const begun: number[] = [];
    const uploads = Array.from({ length: 5 }, held);
    const all = uploads.map(({ act }, index) =>
      turns(async () => {
        begun.push(index);
        const answer = await act();
        if (index === 0) throw new Error('failed');
        return answer;
      }, stays),
    );
    const [first, ...others] = all;
    const failed = assert.rejects(first ?? Promise.resolve(), /failed/);
    for (const [index, { end }] of uploads.entries()) {
      await soon();
      assert.deepEqual(begun, [0, 1, 2, 3, 4].slice(0, index + 2));
      end();
    }
    await failed;
    assert.deepEqual(await Promise.all(others), ['done', 'done', 'done', 'done']);
  });

  it('are not waited for by too many, for too long, and by those that are gone', async () => {
    const turns = createUploadTurns({ atATime: 1, waiting: 1, patienceMs: LONG_MS });
    const upload = held();
    const running = turns(upload.act, stays);
    const gone = new AbortController();
    const waiting = turns(async () => 'never', gone.signal);
    assert.equal(await turns(async () => 'never', stays), undefined);
    gone.abort();
    assert.equal(await waiting, undefined);
    assert.equal(await turns(async () => 'never', gone.signal), undefined);
    const next = turns(async () => 'next', stays);
    upload.end();
    assert.deepEqual(await Promise.all([running, next]), ['done', 'next']);

    const impatient = createUploadTurns({ atATime: 1, waiting: 1, patienceMs: 1 });
    const other = held();
    const slow = impatient(other.act, stays);
    assert.equal(await impatient(async () => 'never', stays), undefined);
    other.end();
    assert.equal(await slow, 'done');
    assert.equal(await impatient(async () => 'again', stays), 'again');
  });
});
