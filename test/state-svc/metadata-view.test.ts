// Which keys a container sees, and under which names.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ownerOf, viewOf } from '../../services/state-svc/metadata-view.ts';
import { keyProblem } from '../../shared/schema/metadata.ts';
import { CONTAINER_NAME } from '../../shared/schema/names.ts';

const ENTRIES = new Map([
  ['plain', '1'],
  ['web.k', '2'],
  ['web.deep.er', '3'],
  ['web.admin.k', '4'],
  ['webb.k', '5'],
  ['web', '6'],
]);
const NAMES = ['web', 'web.admin', 'boss'];
const seen = (name: string, roles: readonly string[] = ['nobody'], names = NAMES) => [
  ...viewOf(ENTRIES, { name, roles }, names),
];

describe('metadata view', () => {
  it('has the keys that begin with the container’s name, without it', () => {
    const expected = [
      ['k', '2'],
      ['deep.er', '3'],
    ];
    assert.deepEqual(seen('web'), expected);
    assert.deepEqual(seen('web.admin'), [['k', '4']]);
    assert.deepEqual(seen('boss'), []);
  });

  it('gives a key to the first part of its name where no container has more of it, as the stock runtime does', () => {
    assert.deepEqual(seen('web', [], ['web']).at(-1), ['admin.k', '4']);
  });

  it('has everything for mgmt, and for no other role', () => {
    assert.deepEqual(seen('boss', ['mgmt']), [...ENTRIES]);
    assert.deepEqual(seen('boss', ['nobody', 'mgmt']), [...ENTRIES]);
    for (const roles of [[], ['nobody'], ['mgm'], ['MGMT']]) assert.deepEqual(seen('boss', roles), []);
  });

  const part = fc.stringMatching(/^[ab_-]{1,2}$/);
  const dotted = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
  const name = dotted.filter((text) => CONTAINER_NAME.test(text));

  it('shows a value to one container at most, and under a name that is a key itself', () => {
    fc.assert(
      fc.property(fc.uniqueArray(dotted), fc.uniqueArray(name), (keys, names) => {
        const entries = new Map(keys.map((key) => [key, key]));
        const shown = names.flatMap((each) => {
          const view = viewOf(entries, { name: each, roles: ['nobody'] }, names);
          for (const [file, key] of view) {
            assert.equal(`${each}.${file}`, key);
            assert.equal(keyProblem(file), undefined);
            assert.equal(ownerOf(key, names), each);
          }
          return [...view.values()];
        });
        assert.equal(new Set(shown).size, shown.length);
        const owned = keys.filter((key) => names.some((each) => key.startsWith(`${each}.`)));
        assert.deepEqual([...shown].sort(), owned.sort());
      }),
    );
  });
});
