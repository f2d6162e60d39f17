import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { excessOf, MAX_PAST_FILES, marksOf, type StoredFile } from '../../services/log-svc/size-budget.ts';

const MIB = 1024 * 1024;
const FACTORS = { hysteresis: 4, rotate: 5 };
const disk = (mib: number, isTmpfs = false) => ({ bytes: mib * MIB, isTmpfs });
const file = (path: string, mib: number, changedMs = 0): StoredFile => ({ path, bytes: mib * MIB, changedMs });
const marks = marksOf({ kind: 'bytes', bytes: 100 * MIB }, disk(1000), FACTORS);

describe('log-svc.marksOf', () => {
  it('takes a tenth of a disk, all of a tmpfs, and what is written otherwise', () => {
    const budget = (...args: Parameters<typeof marksOf>) => marksOf(...args).budget / MIB;
    assert.equal(budget({ kind: 'automatic' }, disk(1000), FACTORS), 100);
    assert.equal(budget({ kind: 'automatic' }, disk(16, true), FACTORS), 16);
    assert.equal(budget({ kind: 'bytes', bytes: 20 * MIB }, disk(1000), FACTORS), 20);
    assert.equal(budget({ kind: 'percent', percent: 25 }, disk(1000), FACTORS), 250);
  });

  it('takes what 0 gives where more is asked for than there is', () => {
    assert.equal(marksOf({ kind: 'bytes', bytes: 5000 * MIB }, disk(1000), FACTORS).budget, 100 * MIB);
  });

  it('has Pantavisor’s marks: 90 %, 75 %, a file a fifth of the gap', () => {
    assert.deepEqual(marks, { budget: 100 * MIB, high: 90 * MIB, low: 75 * MIB, file: 5 * MIB });
  });

  it('has files as small as is asked for, and none larger for it', () => {
    const bytesOf = (fileBytes: number) =>
      marksOf({ kind: 'bytes', bytes: 100 * MIB }, disk(1000), { ...FACTORS, fileBytes }).file;
    assert.deepEqual([0, 1, 2 * MIB, 6 * MIB].map(bytesOf), [5 * MIB, 16 * 1024, 2 * MIB, 5 * MIB]);
  });

  it('keeps its marks in order whatever is asked for', () => {
    const size = fc.oneof(
      fc.constant({ kind: 'automatic' } as const),
      fc.record({ kind: fc.constant('bytes' as const), bytes: fc.nat() }),
      fc.record({ kind: fc.constant('percent' as const), percent: fc.integer({ min: 1, max: 100 }) }),
    );
    const any = fc.tuple(size, fc.record({ bytes: fc.nat(), isTmpfs: fc.boolean() }), fc.nat(20), fc.nat(20));
    fc.assert(
      fc.property(any, ([asked, on, hysteresis, rotate]) => {
        const { budget, high, low, file: bytes } = marksOf(asked, on, { hysteresis, rotate });
        return low >= 0 && low <= high && high <= budget && budget <= on.bytes && bytes > 0;
      }),
    );
  });
});

describe('log-svc.excessOf', () => {
  it('takes nothing below the high mark', () => {
    const files = [file('0/web/lxc/console.log.000001.gz', 45), file('1/web/lxc/console.log', 45)];
    assert.deepEqual(excessOf(files, '1', marks), { remove: [], rotate: undefined });
  });

  it('takes what other revisions left first, the oldest first, down to the low mark', () => {
    const files = [
      file('1/web/lxc/console.log.000001.gz', 40, 1),
      file('locals/x/web/lxc/console.log', 10, 9),
      file('0/pantavisor/pantavisor.log', 20, 5),
      file('1/web/lxc/console.log', 30, 10),
    ];
    assert.deepEqual(excessOf(files, '1', marks).remove, [
      '0/pantavisor/pantavisor.log',
      'locals/x/web/lxc/console.log',
    ]);
  });

  it('takes the past of whoever has the most, not that of the quiet', () => {
    const files = [
      file('1/quiet/lxc/console.log.000001.gz', 1, 1),
      ...[2, 3, 4, 5].map((at) => file(`1/flood/lxc/console.log.00000${at}.gz`, 24, at)),
    ];
    assert.deepEqual(excessOf(files, '1', marks).remove, ['1/flood/lxc/console.log.000002.gz']);
  });

  it('names the largest file that is being written when nothing else is left', () => {
    const files = [
      file('1/a/lxc/console.log', 60),
      file('1/b/lxc/console.log', 35),
      file('1/b/lxc/console.log.000001.gz', 1),
    ];
    assert.deepEqual(excessOf(files, '1', marks), {
      remove: ['1/b/lxc/console.log.000001.gz'],
      rotate: '1/a/lxc/console.log',
    });
  });

  for (const running of ['0', '1']) {
    const whose = running === '0' ? 'the running revision' : 'another revision';
    it(`goes by the numbers of a file of ${whose} where a clock that was set back says otherwise`, () => {
      const files = [
        file('0/web/lxc/console.log', 20, 2),
        file('0/web/lxc/console.log.000011', 20, 1),
        file('0/web/lxc/console.log.000010.gz', 20, 10_000),
        file('0/web/lxc/console.log.000009.gz', 20, 9_000),
        file('0/web/lxc/lxc.log', 20, 5_000),
      ];
      assert.deepEqual(excessOf(files, running, marks).remove, [
        '0/web/lxc/console.log.000009.gz',
        '0/web/lxc/console.log.000010.gz',
      ]);
    });
  }

  it('takes the past where it is many files, however small: of other revisions first, then of whoever has the most', () => {
    const rotated = (container: string, count: number, bytes: number): StoredFile[] =>
      Array.from({ length: count }, (_, at) => ({
        path: `1/${container}/lxc/console.log.${String(at + 1).padStart(6, '0')}.gz`,
        bytes,
        changedMs: at,
      }));
    const former = { path: '0/web/lxc/console.log', bytes: 1, changedMs: 9 };
    const files = [...rotated('quiet', 10, MIB), former, ...rotated('flood', MAX_PAST_FILES, 1)];
    const { remove } = excessOf(files, '1', marks);
    assert.equal(remove[0], former.path);
    assert.deepEqual(remove.slice(1, 3), ['1/flood/lxc/console.log.000001.gz', '1/flood/lxc/console.log.000002.gz']);
    assert.ok(remove.every((path) => !path.startsWith('1/quiet/')));
    assert.deepEqual(excessOf(files.slice(11), '1', marks).remove, []);
  });

  it('does not count files that are being written: a device has as many as its containers need', () => {
    const files = Array.from({ length: 2 * MAX_PAST_FILES }, (_, at) => file(`1/c${at}/lxc/console.log`, 0));
    assert.deepEqual(excessOf([...files, file('0/a/lxc/console.log', 1)], '1', marks).remove, []);
  });

  it('never takes a file of the running revision that is being written, and enough otherwise', () => {
    const name = fc.constantFrom('console.log', 'console.log.000001', 'console.log.000002.gz', 'var/log/messages');
    const path = fc.tuple(fc.constantFrom('0', '1', 'locals/x'), fc.constantFrom('a', 'b'), name);
    const stored = fc.record({
      path: path.map((parts) => parts.join('/')),
      bytes: fc.nat(50 * MIB),
      changedMs: fc.nat(),
    });
    fc.assert(
      fc.property(fc.uniqueArray(stored, { selector: (each) => each.path }), (files) => {
        const { remove } = excessOf(files, '1', marks);
        const left = files.filter((each) => !remove.includes(each.path));
        const total = (of: readonly StoredFile[]) => of.reduce((sum, { bytes }) => sum + bytes, 0);
        assert.ok(remove.every((gone) => !/^1\/\w\/(console\.log|var\/log\/messages)$/.test(gone)));
        const onlyWritten = left.every((each) => /^1\/\w\/(console\.log|var\/log\/messages)$/.test(each.path));
        assert.ok(total(files) <= marks.high ? remove.length === 0 : total(left) <= marks.low || onlyWritten);
      }),
    );
  });
});
