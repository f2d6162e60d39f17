// How often the storage is walked through for those who ask.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createStorageGiving } from '../../services/supervisor/storage-giving.ts';

describe('supervisor.storage-giving', () => {
  it('is one walk at a time, and one more for all who ask meanwhile', async () => {
    const ends: (() => void)[] = [];
    let begun: () => void = () => undefined;
    const give = createStorageGiving(
      () =>
        new Promise((resolve) => {
          ends.push(resolve);
          begun();
        }),
    );
    const hasBegun = (): Promise<void> => new Promise((resolve) => (begun = resolve));
    let next = hasBegun();
    const first = give('state-svc');
    await next;
    const others = [give('state-svc'), give('state-svc'), give('state-svc')];
    assert.equal(ends.length, 1);
    next = hasBegun();
    ends[0]?.();
    await first;
    await next;
    ends[1]?.();
    await Promise.all(others);
    assert.equal(ends.length, 2);
  });
});
