// What may be a key and a value, how much there may be, and pages that fit a message.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { limitReached, MAX_KEYS, MAX_TOTAL_BYTES, pageOf } from '../../services/state-svc/metadata-limits.ts';
import { encodePayload } from '../../shared/ipc/codec.ts';
import { keyProblem, MAX_KEY_BYTES, MAX_VALUE_BYTES, valueProblem } from '../../shared/schema/metadata.ts';

const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => keyProblem(text) === undefined);

describe('metadata keys', () => {
  for (const good of ['k1', 'pantavisor.version', 'web.config', 'pvr-sdk.authorized_keys', 'a b', 'größe', '-x', '@']) {
    it(`takes '${good}'`, () => assert.equal(keyProblem(good), undefined));
  }
  const bad = [
    '',
    '.',
    '..',
    '.x',
    'x.',
    'a..b',
    'a/b',
    '/',
    '../x',
    'a\nb',
    'a\0b',
    'a\u007f',
    'a\ud800',
    'é'.repeat(101),
  ];
  for (const wrong of bad) {
    it(`refuses ${JSON.stringify(wrong)} and says why`, () => assert.match(keyProblem(wrong) ?? '', /\w/));
  }
  it('takes the longest key, and none longer', () => {
    assert.equal(keyProblem('k'.repeat(MAX_KEY_BYTES)), undefined);
    assert.match(keyProblem('k'.repeat(MAX_KEY_BYTES + 1)) ?? '', /201 bytes, at most 200/);
  });
  it('lets no key, and no end of one after a dot, lead out of a folder or hide in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        if (keyProblem(text) !== undefined) return;
        const parts = text.split('.');
        for (const at of parts.keys()) assert.match(parts.slice(at).join('.'), /^[^./\0][^/\0]*$/u);
      }),
    );
  });
});

describe('metadata values', () => {
  it('take text of any kind up to 32 KiB', () => {
    for (const good of ['', '{"a":1}', 'line\nline\n', 'ü', 'v'.repeat(MAX_VALUE_BYTES)]) {
      assert.equal(valueProblem(good), undefined);
    }
  });
  it('count bytes, not characters', () => assert.match(valueProblem('ü'.repeat(16_385)) ?? '', /32770 bytes/));
  it('have no NUL', () => assert.match(valueProblem('a\0') ?? '', /NUL/));
});

describe('metadata limits', () => {
  it('hold over the number of keys; a key that is there already can change', () => {
    const full = new Map(Array.from({ length: MAX_KEYS }, (_, index) => [`k${index}`, 'v']));
    assert.deepEqual(limitReached(full, 'new', ''), { code: 'LIMIT_REACHED', what: 'keys', limit: MAX_KEYS });
    assert.equal(limitReached(full, 'k7', 'other'), undefined);
  });
  it('hold over all bytes; what a change replaces does not count', () => {
    const full = new Map(Array.from({ length: 16 }, (_, index) => [`k${index + 10}`, 'v'.repeat(MAX_VALUE_BYTES - 3)]));
    assert.equal(limitReached(full, 'k10', 'v'.repeat(MAX_VALUE_BYTES - 3)), undefined);
    assert.deepEqual(limitReached(full, 'one-more', 'v'), {
      code: 'LIMIT_REACHED',
      what: 'bytes',
      limit: MAX_TOTAL_BYTES,
    });
  });
});

describe('metadata pages', () => {
  it('tell every entry once, in order, each page in one message', () => {
    const value = fc.integer({ min: 0, max: MAX_VALUE_BYTES / 2 }).map((length) => 'ü'.repeat(length));
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 12 }),
        fc.array(value, { minLength: 12, maxLength: 12 }),
        (keys, values) => {
          const entries = new Map(keys.map((each, index) => [each, values[index] ?? '']));
          const told: string[] = [];
          let after: string | undefined;
          do {
            const page = pageOf(entries, after);
            assert.ok(encodePayload({ entries: page.entries, next: page.next }).length < 63 * 1024);
            for (const entry of page.entries) {
              assert.equal(entry.value, entries.get(entry.key));
              told.push(entry.key);
            }
            after = page.next;
          } while (after !== undefined);
          assert.deepEqual(told, [...keys].sort());
        },
      ),
      { numRuns: 50 },
    );
  });
  it('hold a thousand small keys too', () => {
    const entries = new Map(Array.from({ length: MAX_KEYS }, (_, index) => [`k${index}`, '']));
    assert.ok(encodePayload(pageOf(entries, undefined)).length < 63 * 1024);
  });
});
