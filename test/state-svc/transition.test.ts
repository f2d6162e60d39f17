// Who stays, who stops and who starts when one revision follows another.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type TransitionSide, transitionBetween } from '../../services/state-svc/transition.ts';
import { parseState } from '../../shared/revision/validate.ts';
import { type ContainerSpec, sha256, stateOf } from './device.ts';

const APP = { group: 'app' };
const SYSTEM = { group: 'platform' };
const TWO = { a: APP, b: APP };

function side(
  containers: Readonly<Record<string, ContainerSpec>>,
  more: object = {},
  device: object = {},
): TransitionSide {
  const document = { ...stateOf(containers, device).document, ...more };
  const parsed = parseState(document, () => undefined);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return { document, revision: parsed.revision };
}

const object = sha256('other');

describe('a transition', () => {
  it('keeps everybody when nothing changed', () => {
    assert.deepEqual(transitionBetween(side(TWO), side(TWO)), { kind: 'live', keep: ['a', 'b'], stop: [], start: [] });
  });

  it('keeps everybody when keys come in another order', () => {
    const { document, revision } = side(TWO);
    const reversed = Object.fromEntries(Object.entries(Object(document)).reverse());
    assert.equal(transitionBetween({ document, revision }, { document: reversed, revision }).kind, 'live');
  });

  const live: readonly (readonly [string, TransitionSide, object])[] = [
    ['another root filesystem', side(TWO, { 'a/root.squashfs': object }), { keep: ['b'], stop: ['a'], start: ['a'] }],
    ['another manifest', side({ a: { ...APP, logs: [] }, b: APP }), { keep: ['b'], stop: ['a'], start: ['a'] }],
    ['a file over its root', side(TWO, { '_config/b/etc/x': object }), { keep: ['a'], stop: ['b'], start: ['b'] }],
    ['a container more', side({ ...TWO, c: APP }), { keep: ['a', 'b'], stop: [], start: ['c'] }],
    ['a container less', side({ a: APP }), { keep: ['a'], stop: ['b'], start: [] }],
    ['signatures', side(TWO, { '_sigs/a.json': { x: 1 } }), { keep: ['a', 'b'], stop: [], start: [] }],
    ['a folder of no container', side(TWO, { 'notes/x': object }), { keep: ['a', 'b'], stop: [], start: [] }],
  ];
  for (const [what, next, expected] of live) {
    it(`goes without a reboot for ${what}`, () => {
      assert.deepEqual(transitionBetween(side(TWO), next), { kind: 'live', ...expected });
    });
  }

  const reboots: readonly (readonly [string, TransitionSide, TransitionSide])[] = [
    ['bsp', side(TWO, { 'bsp/kernel.img': object }), side(TWO)],
    ['the root', side(TWO), side(TWO, {}, { network: {} })],
    [
      'a container of the system',
      side({ ...TWO, s: SYSTEM }),
      side({ ...TWO, s: SYSTEM }, { 's/root.squashfs': object }),
    ],
    ['its _config', side({ ...TWO, s: SYSTEM }), side({ ...TWO, s: SYSTEM }, { '_config/s/etc/x': object })],
    [
      'a container that becomes one of the system',
      side(TWO),
      side({ a: APP, b: { ...APP, restart_policy: 'system' } }),
    ],
    ['one of the system that is gone', side({ ...TWO, s: SYSTEM }), side(TWO)],
    // The first in alphabetical order that names no group joins root; the next one was that before.
    ['a default group that moves on', side({ m: {} }), side({ k: { restart_policy: 'container' }, m: {} })],
  ];
  for (const [what, before, next] of reboots) {
    it(`reboots for ${what}, and to go back`, () => {
      assert.equal(transitionBetween(before, next).kind, 'reboot');
      assert.equal(transitionBetween(next, before).kind, 'reboot');
    });
  }

  it('restarts extensions of a container with another root filesystem, and reboots for one of the system', () => {
    const lxc = (name: string, base: string) =>
      `lxc.rootfs.path = overlayfs:/volumes/${name}/root.squashfs:/volumes/${base}/root.squashfs:/volumes/${name}/lxc-overlay/upper`;
    const sides = (group: object): readonly TransitionSide[] => {
      const specs = { a: APP, b: APP, c: { ...APP, lxc: lxc('c', 'b') }, d: { ...group, lxc: lxc('d', 'b') } };
      const { document, objects } = stateOf(specs, {});
      const texts = new Map(objects.map((text) => [sha256(text), text]));
      return [{}, { 'b/root.squashfs': object }, { 'b/notes': object }].map((changed) => {
        const changedDocument = { ...document, ...changed };
        const parsed = parseState(changedDocument, (_path, digest) => texts.get(digest));
        assert.ok(parsed.ok, JSON.stringify(parsed));
        return { document: changedDocument, revision: parsed.revision };
      });
    };
    const between = ([before, ...afters]: readonly TransitionSide[]) =>
      afters.map((after) => before && transitionBetween(before, after));
    assert.deepEqual(between(sides(APP)), [
      { kind: 'live', keep: ['a'], stop: ['b', 'c', 'd'], start: ['b', 'c', 'd'] },
      { kind: 'live', keep: ['a', 'c', 'd'], stop: ['b'], start: ['b'] },
    ]);
    assert.deepEqual(
      between(sides(SYSTEM)).map((transition) => transition?.kind),
      ['reboot', 'live'],
    );
  });

  it('leads back where it came from', () => {
    const containers = fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc.constantFrom<ContainerSpec>(APP, { ...APP, logs: [] }),
    );
    fc.assert(
      fc.property(containers, containers, (one, other) => {
        const [there, back] = [transitionBetween(side(one), side(other)), transitionBetween(side(other), side(one))];
        assert.ok(there.kind === 'live' && back.kind === 'live');
        assert.deepEqual([there.keep, there.stop, there.start], [back.keep, back.start, back.stop]);
        assert.deepEqual([...there.keep, ...there.start].sort(), Object.keys(other).sort());
      }),
    );
  });
});
