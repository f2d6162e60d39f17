import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ContainerPaces, createContainerPaces } from '../../services/net-svc/container-paces.ts';

const ATTACHED = new Map([
  ['evil', []],
  ['good', []],
]);
const down = (container: string) => ({ container, what: `bring up eth0 of ${container}` });

/** A pass of 10 ms that repairs these. */
const pass = (paces: ContainerPaces, atMs: number, containers: readonly string[], attached = ATTACHED) =>
  paces.afterPass(
    { startedMs: atMs, endedMs: atMs + 10, repaired: false, failed: false },
    containers.map(down),
    attached,
  );

/** One that undoes each repair at once: it rests from 2,100 to 7,110. */
function fight(): { paces: ContainerPaces; began: string[] } {
  const paces = createContainerPaces();
  const began: string[] = [];
  for (let round = 0; round <= 20; round++) {
    const atMs = 100 + round * 100;
    assert.ok(paces.takesTurn('evil', true, atMs));
    began.push(...pass(paces, atMs, ['evil']).map(({ container }) => container));
  }
  return { paces, began };
}

describe('the paces of containers', () => {
  it('have who fights rest, and nobody else', () => {
    const { paces, began } = fight();
    assert.deepEqual(began, ['evil']);
    assert.deepEqual(
      paces.contested(3_000).map(({ container, lastRepaired }) => [container, lastRepaired]),
      [['evil', 'bring up eth0 of evil']],
    );
    assert.ok(!paces.takesTurn('evil', true, 3_000));
    assert.ok(paces.takesTurn('good', true, 3_000));
    assert.ok(!paces.takesTurn('good', false, 3_000));
  });

  it('put off what is heard until the rest is over, and tell when that is', () => {
    const { paces } = fight();
    assert.equal(paces.dueMs(3_000), -1);
    paces.takesTurn('evil', true, 3_000);
    assert.ok(paces.isPutOff('evil'));
    assert.equal(paces.dueMs(3_000), 4_110);
    assert.ok(!paces.takesTurn('evil', false, 7_000));
    assert.ok(paces.takesTurn('evil', false, 7_110));
    assert.equal(paces.dueMs(7_110), -1);
    assert.ok(!paces.takesTurn('evil', false, 7_110), 'nothing was heard since');
  });

  it('go on resting while the fight does, and are normal again when it is over', () => {
    const { paces } = fight();
    assert.ok(paces.takesTurn('evil', true, 8_000));
    assert.deepEqual(pass(paces, 8_000, ['evil']), []);
    assert.ok(!paces.takesTurn('evil', true, 13_000));
    assert.ok(paces.takesTurn('evil', false, 13_010));
    pass(paces, 13_010, []);
    assert.equal(paces.contested(28_000).length, 1);
    assert.deepEqual(paces.contested(28_010), []);
    pass(paces, 28_010, []);
    assert.ok(paces.takesTurn('evil', true, 28_020));
  });

  it('forget who is not attached any more', () => {
    const { paces } = fight();
    pass(paces, 3_000, [], new Map());
    assert.deepEqual(paces.contested(3_010), []);
    assert.ok(paces.takesTurn('evil', true, 3_020));
  });
});
