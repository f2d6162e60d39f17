import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isoTime } from '../../shared/time/iso-time.ts';

/** ECMA-262, 21.4.1.1: a hundred million days either side of 1970. */
const LAST_MS = 8.64e15;

describe('isoTime', () => {
  it('says of every moment what Date says', () => {
    const near = fc.integer({ min: 0, max: Date.UTC(2100, 0, 1) });
    const any = fc.integer({ min: -LAST_MS, max: LAST_MS });
    fc.assert(fc.property(fc.oneof(near, any), (timeMs) => isoTime(timeMs) === new Date(timeMs).toISOString()));
    for (const year of [0, 999, 1_000, 1_970, 9_999, 10_000]) {
      for (const offsetMs of [-1, 0, 1]) {
        const timeMs = new Date(0).setUTCFullYear(year) + offsetMs;
        assert.equal(isoTime(timeMs), new Date(timeMs).toISOString());
      }
    }
  });

  it('throws of what is no moment', () => {
    for (const none of [Number.NaN, Number.POSITIVE_INFINITY, LAST_MS + 1]) {
      assert.throws(() => isoTime(none), RangeError);
    }
  });

  it('is right whatever time zone the machine is in', () => {
    const module = JSON.stringify(join(import.meta.dirname, '../../shared/time/iso-time.ts'));
    const source = `import { isoTime } from ${module}; console.log(isoTime(1_795_000_000_123));`;
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], {
      encoding: 'utf8',
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, TZ: 'Asia/Kathmandu' },
    });
    assert.equal(stdout, '2026-11-18T11:06:40.123Z\n');
  });
});
