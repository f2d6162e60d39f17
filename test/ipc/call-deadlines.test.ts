// One timer serves every deadline, in whatever order they were added, and holds no process that waits for none.
import assert from 'node:assert/strict';
import process from 'node:process';
import { afterEach, describe, it } from 'node:test';
import { type CallDeadlines, createCallDeadlines } from '../../shared/ipc/call-deadlines.ts';

const hasTimer = (): boolean => process.getActiveResourcesInfo().includes('Timeout');

describe('ipc.call-deadlines', () => {
  let deadlines: CallDeadlines | undefined;
  afterEach(() => deadlines?.rest());

  it('calls at each deadline, whichever was added first', async () => {
    const wanted = new Set<number>();
    let onEmpty: () => void = () => undefined;
    const empty = new Promise<void>((resolve) => {
      onEmpty = resolve;
    });
    const table = createCallDeadlines((nowMs) => {
      const due = [...wanted].filter((at) => at <= nowMs);
      for (const at of due) wanted.delete(at);
      if (wanted.size === 0) onEmpty();
      return Math.min(...wanted);
    });
    deadlines = table;
    const start = performance.now();
    for (const afterMs of [30, 10, 40, 20]) {
      wanted.add(start + afterMs);
      table.add(start + afterMs);
    }
    await empty;
    assert.ok(performance.now() >= start + 40, 'not before the last of them');
  });

  it('keeps the process alive while somebody waits, and no longer', () => {
    const before = hasTimer();
    deadlines = createCallDeadlines(() => Number.POSITIVE_INFINITY);
    deadlines.add(performance.now() + 60_000);
    assert.ok(hasTimer());
    deadlines.rest();
    assert.equal(hasTimer(), before);
    deadlines.add(performance.now() + 90_000);
    assert.ok(hasTimer(), 'the timer of before serves the later deadline too');
    deadlines.rest();
    assert.equal(hasTimer(), before);
  });
});
