import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseExtendedRegex } from '../../shared/devices/extended-regex.ts';

const whole = (regex: string, text: string) => parseExtendedRegex(regex).whole(text);
/** Milliseconds: far above what a bounded match takes here, far below what an unbounded one does. */
const SHORT_MS = 2_000;

describe('parseExtendedRegex', () => {
  it('matches a text as a whole, and tells its groups', () => {
    assert.deepEqual(whole('tty(USB|ACM)([0-9]+)', 'ttyACM12'), ['ttyACM12', 'ACM', '12']);
    assert.equal(whole('tty', 'ttyS0'), undefined);
    assert.deepEqual(whole('(a|ab)(c|bcd)(d*)', 'abcd'), ['abcd', 'a', 'bcd', '']);
    assert.deepEqual(whole('', ''), ['']);
    assert.deepEqual(whole('sd[a-z]{1,2}[[:digit:]]?', 'sdab1'), ['sdab1']);
  });

  it('finds a part of a text', () => {
    const port = parseExtendedRegex('1-1\\.3$|^/devices/x');
    assert.ok(port.isIn('/usb1/1-1.3') && port.isIn('/devices/xy'));
    assert.ok(!port.isIn('/usb1/1-1.3:1.0') && !port.isIn('/usb1/1-123'));
  });

  it('reads brackets as POSIX has them', () => {
    for (const [regex, text] of Object.entries({
      '[]a]+': ']a',
      '[^]a]': 'b',
      '[a-]': '-',
      '[\\d]+': '\\d',
      '[.*]': '*',
    })) {
      assert.ok(whole(regex, text) !== undefined, regex);
    }
    assert.equal(whole('[^a-c]', 'b'), undefined);
  });

  it('says what it cannot understand', () => {
    for (const bad of [
      '(a',
      'a)',
      '*a',
      '[a',
      'a\\',
      '\\1',
      '[[:none:]]',
      'a{2,1}',
      'a{256}',
      '[z-a]',
      '(x{200}){200}',
    ]) {
      assert.throws(() => parseExtendedRegex(bad), Error, bad);
    }
    assert.throws(() => parseExtendedRegex('('.repeat(10_000)), /groups in one another/);
  });

  it('takes no longer for an expression that is meant to', () => {
    const start = performance.now();
    for (const regex of ['(a*)*b', '(a|a)*b', '(a+)+b', '((a?){9}a{20})*b']) whole(regex, 'a'.repeat(2_000));
    assert.ok(performance.now() - start < SHORT_MS);
  });

  it('matches what JavaScript matches, where both read it alike', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(ab)', '(a*)', '\\.');
    const part = fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '{1,2}')).map((pair) => pair.join(''));
    const regex = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
    const either = fc.array(regex, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('|'));
    fc.assert(
      fc.property(either, fc.string({ unit: fc.constantFrom('a', 'b', '.', 'c'), maxLength: 8 }), (written, text) => {
        const parsed = parseExtendedRegex(written);
        assert.equal(parsed.whole(text) !== undefined, new RegExp(`^(?:${written})$`).test(text));
        assert.equal(parsed.isIn(text), new RegExp(written).test(text));
      }),
    );
  });
});
