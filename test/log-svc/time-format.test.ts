import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { parseTimeFormat } from '../../services/log-svc/time-format.ts';

const TIMES = [
  0,
  Date.UTC(2026, 10, 21, 2, 3, 4, 567),
  Date.UTC(2024, 1, 29, 12, 0, 0),
  Date.UTC(2025, 11, 31, 23, 59, 59),
];

describe('log-svc.timeFormat', () => {
  it('says the same as date(1) for every conversion that it knows', () => {
    const format = '%a %A %b %B %c %d %D %e %F %H %I %j %m %M %p %R %s %S %T %y %Y %z %%';
    const own = parseTimeFormat(`strftime:${format}`) ?? assert.fail();
    for (const timeMs of TIMES) {
      const seconds = String(Math.floor(timeMs / 1000));
      const args = ['-d', `@${seconds}`, `+${format}`];
      assert.equal(own(timeMs), execFileSync('date', args, { encoding: 'utf8', env: { LC_ALL: 'C' } }).trimEnd());
    }
  });

  it('knows Go’s layouts by their names', () => {
    const zone = parseTimeFormat('strftime:%z')?.(0);
    if (zone !== '+0000') return;
    const said = (name: string) => parseTimeFormat(`golang:${name}`)?.(Date.UTC(2006, 0, 2, 15, 4, 5));
    assert.equal(said('Layout'), "01/02 03:04:05PM '06 +0000");
    assert.equal(said('RubyDate'), 'Mon Jan 02 15:04:05 +0000 2006');
    assert.equal(said('ANSIC'), 'Mon Jan  2 15:04:05 2006');
    assert.equal(said('RFC822Z'), '02 Jan 06 15:04 +0000');
    assert.equal(said('RFC1123Z'), 'Mon, 02 Jan 2006 15:04:05 +0000');
  });

  it('leaves what it does not know as it is, and refuses what is of no form', () => {
    assert.equal(parseTimeFormat('strftime:%Q %')?.(0), '%Q %');
    for (const wrong of ['', 'strftime:', '%T', 'golang:Kitchen', 'golang:toString', 'rfc3339']) {
      assert.equal(parseTimeFormat(wrong), undefined);
    }
  });
});
