import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CONTROL } from '../../shared/schema/control-characters.ts';
import { containerLogFile } from '../../shared/schema/logs.ts';
import { keyProblem } from '../../shared/schema/metadata.ts';
import { devicePath, insidePath } from '../../shared/schema/storage.ts';

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

  it('are kept out of paths, which have no empty, "." or ".." parts either', () => {
    const bad = ['a\u0000', 'a\n', 'a\u007f', 'a\u0085', 'a//b', 'a/.', 'a/../b'];
    const good = ['a', 'ä/\u{1f600}', 'a\u00a0/b', 'a/...'];
    const paths = {
      inside: (path: string) => insidePath.safeParse(path).success,
      device: (path: string) => devicePath.safeParse(`/${path}`).success,
      log: (path: string) => containerLogFile.safeParse({ path: `/${path}` }).success,
    };
    for (const [name, takes] of Object.entries(paths)) {
      for (const path of bad) assert.equal(takes(path), false, `${name} ${JSON.stringify(path)}`);
      for (const path of good) assert.equal(takes(path), true, `${name} ${JSON.stringify(path)}`);
    }
  });
});
