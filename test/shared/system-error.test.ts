// What people are told of an error of the system, and what they can do.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { getSystemErrorName } from 'node:util';
import { isDamaged, reasonOf, whyUnwritten } from '../../shared/kernel/system-error.ts';

/** As Node makes them. */
function systemError(errno: number): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${code}: ${code}, write`), { errno, code });
}

describe('errors of the system', () => {
  it('have the name that Node does not know', () => {
    const unnamed = systemError(-74);
    assert.equal(reasonOf(unnamed), 'EBADMSG: damaged on the disk, write');
    assert.equal(reasonOf(systemError(-9999)).match(/-9999/g)?.length, 2);
  });

  it('are of a damaged disk where the disk does not give what is there', () => {
    assert.ok([-5, -74, -117].every((errno) => isDamaged(systemError(errno))));
    assert.ok(![systemError(-28), systemError(-2), new Error('EIO'), 'EIO', undefined].some(isDamaged));
  });

  for (const [errno, remedy] of [
    [-28, /; make room$/],
    [-122, /; make room$/],
    [-5, /; check the file system \(fsck\), and whether the disk wears out$/],
    [-117, /; check the file system \(fsck\), and whether the disk wears out$/],
    [-30, /read-only.*mount it for writing$/],
    [-13, /restart Berth/],
    [-21, /^EISDIR: EISDIR, write$/],
  ] as const) {
    it(`tell what helps against ${errno}, and no more`, () => assert.match(whyUnwritten(systemError(errno)), remedy));
  }
});
