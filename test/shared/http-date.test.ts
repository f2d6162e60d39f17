import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { httpDate, secondsOf } from '../../shared/time/http-date.ts';

const moment = fc.integer({ min: Date.UTC(0, 0, 1), max: Date.UTC(9_999, 11, 31, 23, 59, 59, 999) });

describe('httpDate', () => {
  it('says what Date says', () => {
    fc.assert(fc.property(moment, (timeMs) => httpDate(timeMs) === new Date(timeMs).toUTCString()));
    assert.equal(httpDate(784_111_777_000), 'Sun, 06 Nov 1994 08:49:37 GMT');
  });

  it('is written once for all of a second, also when the clock is set back', () => {
    const asked: number[] = [];
    const date = secondsOf((timeMs) => {
      asked.push(timeMs);
      return httpDate(timeMs);
    });
    const times = [0, 1, 999, 1_000, 1_500, 0, 999];
    for (const timeMs of times) assert.equal(date(timeMs), httpDate(timeMs));
    assert.deepEqual(asked, [0, 1_000, 0]);
  });
});
