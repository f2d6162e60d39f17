import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CONTROL } from '../../shared/schema/control-characters.ts';
import { keyProblem } from '../../shared/schema/metadata.ts';

const LAST = 0x10ffff;

describe('CONTROL', () => {
  it('is Unicode’s category of control characters, and no other', () => {
    const own = new RegExp(`^[${CONTROL}]$`, 'u');
    for (let code = 0; code <= LAST; code += 1) {
      const char = String.fromCodePoint(code);
      assert.equal(own.test(char), /^\p{Cc}$/u.test(char), code.toString(16));
    }
  });

  it('and halves of pairs are kept out of keys of metadata, and what has a pair is not', () => {
    for (const bad of ['a\u0000', 'a\n', 'a\u007f', 'a\u0085'])
      assert.equal(keyProblem(bad), 'it has a control character');
    for (const half of ['a\ud83d', '\ude00a']) assert.equal(keyProblem(half), 'it is not valid Unicode');
    for (const good of ['a', 'ä', '\u{1f600}', 'a\u00a0']) assert.equal(keyProblem(good), undefined);
  });
});
