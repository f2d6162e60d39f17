// Which paths patterns of signatures mean.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { matchesPattern, patternProblem } from '../../shared/revision/path-pattern.ts';

describe('patterns of signatures', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['**', ['a', 'a/b/c', '#spec'], []],
    ['*', ['a', '#spec'], ['a/b']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'ab/c', 'b/a/c']],
    ['**/src.json', ['src.json', 'a/src.json', 'a/b/src.json'], ['a/src.json/b', 'a/xsrc.json']],
    ['a/*.json', ['a/run.json', 'a/.json'], ['a/b/run.json', 'a/run.jsonx']],
    ['a/?', ['a/b', 'a/\u{1f600}'], ['a/bc', 'a/']],
    ['_config/a/**', ['_config/a/etc/x'], ['_config/ab/x', 'a/etc/x']],
    ['a/**/c', ['a/c', 'a/b/c', 'a/b/b/c'], ['a/b', 'c']],
    ['a.b', ['a.b'], ['axb']],
  ];
  for (const [pattern, matching, others] of cases) {
    it(`${pattern} means ${matching.join(' ')}, and not ${others.join(' ')}`, () => {
      assert.deepEqual(
        [...matching, ...others].filter((path) => matchesPattern(pattern, path)),
        matching,
      );
    });
  }

  it('are refused when they have what is not understood', () => {
    for (const pattern of ['', 'a/[bc]', 'a/{b,c}', 'a\\*']) assert.notEqual(patternProblem(pattern), undefined);
    assert.equal(patternProblem('**/a?*.json'), undefined);
  });

  it('match every path that they are made from', () => {
    const part = fc.stringMatching(/^[a-c]{1,3}$/);
    const hidden = fc.constantFrom('same', 'one', 'any');
    fc.assert(
      fc.property(fc.array(fc.tuple(part, hidden), { minLength: 1, maxLength: 6 }), (parts) => {
        const path = parts.map(([name]) => name).join('/');
        const pattern = parts.map(([name, how]) => (how === 'same' ? name : how === 'one' ? '*' : '**')).join('/');
        assert.ok(matchesPattern(pattern, path), `${pattern} and ${path}`);
      }),
    );
  });
});
