// The one form of JSON that signatures are made over.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, withSmallHex } from '../../shared/revision/canonical-json.ts';

describe('canonicalJson', () => {
  const forms: readonly (readonly [string, unknown, string])[] = [
    ['keys in order, at every depth', { b: { d: 1, c: [] }, a: null }, '{"a":null,"b":{"c":[],"d":1}}'],
    ['keys by code point, not by UTF-16', { '\u{1f600}': 1, '\uff5e': 2 }, '{"\uff5e":2,"\u{1f600}":1}'],
    ['whole numbers as digits', [0, -0, 2.0, -17, 1e21], '[0,0,2,-17,1000000000000000000000]'],
    ['other numbers with one digit before the dot', [1.5, 0.1, -20.25, 1e-7], '[1.5E0,1.0E-1,-2.025E1,1.0E-7]'],
    ['strings with the shortest escapes', 'a"\\\n\u0001/\u2028', '"a\\"\\\\\\n\\u0001/\u2028"'],
    ['hex in capitals', '\u000b\u001f\ud83d', '"\\u000B\\u001F\\uD83D"'],
    ['a backslash before what only looks like an escape', { '\\u001f': '\\\u001f' }, '{"\\\\u001f":"\\\\\\u001F"}'],
    ['a key that JavaScript has by itself', JSON.parse('{"b":1,"__proto__":2}'), '{"__proto__":2,"b":1}'],
  ];
  for (const [what, value, text] of forms) {
    it(`has ${what}`, () => assert.equal(canonicalJson(value), text));
  }

  it('can be had with the small hex of JSON.stringify', () => {
    const text = JSON.stringify({ '\u001f': '\\u001F\ud83d\n' });
    assert.equal(withSmallHex(canonicalJson(JSON.parse(text))), text);
  });

  it('means the same as before, and is itself canonical', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const parsed = JSON.parse(JSON.stringify(value));
        const text = canonicalJson(parsed);
        assert.deepEqual(JSON.parse(text), parsed);
        assert.equal(canonicalJson(JSON.parse(text)), text);
      }),
    );
  });
});
