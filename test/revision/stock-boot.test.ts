// What is read of the records that boot loaders have under Pantavisor.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { stockBoot, stockRevisions } from '../../shared/revision/stock-boot.ts';

describe('stockBoot', () => {
  let storage = '';
  beforeEach(() => {
    storage = mkdtempSync(join(tmpdir(), 'stock-boot-'));
    for (const name of ['boot', 'trails']) mkdirSync(join(storage, name));
    for (const name of ['0', '3', '4', 'locals/x']) {
      mkdirSync(join(storage, 'trails', name, '.pvr'), { recursive: true });
      writeFileSync(join(storage, 'trails', name, '.pvr/json'), '{}');
    }
  });
  afterEach(() => rmSync(storage, { recursive: true }));
  const write = (name: string, text: string): void => writeFileSync(join(storage, 'boot', name), text);

  for (const [what, text, revision, tried] of [
    ['what the last of several says, as U-Boot takes it', 'pv_rev=3\0pv_rev=4\0', '4', undefined],
    ['no key that only begins like one', 'pv_rev=3\0pv_trying=4\0xpv_rev=0\0pv_revision=0\0', '3', undefined],
    ['a local revision', 'pv_rev=locals/x\0pv_try=4\0', 'locals/x', '4'],
    ['none to be tried that is the same', 'pv_rev=4\0pv_try=4\0', '4', undefined],
    ['none to be tried that is not there', 'pv_rev=4\0pv_try=5\0', '4', undefined],
    ['none that is not there', 'pv_rev=5\0pv_try=4\0', undefined, '4'],
    ['the factory revision where only one to be tried is named', 'pv_try=4\0', '0', '4'],
    ['nothing of nothing', '\0\0\0', undefined, undefined],
  ] as const) {
    it(`reads ${what}`, () => {
      write('uboot.txt', text);
      const found = stockBoot(storage);
      assert.deepEqual([found.revision, found.tried], [revision, tried]);
    });
  }

  it('reads no record of U-Boot behind that of another boot loader, also where that names what is gone', () => {
    write('uboot.txt', 'pv_rev=0\0');
    write('rpiab.txt', 'pv_rev=9\0');
    assert.equal(stockBoot(storage).revision, undefined);
    write('rpiab.txt', '\0\0');
    assert.equal(stockBoot(storage).revision, '0');
  });

  it('throws where a record cannot be read: it may name any', () => {
    mkdirSync(join(storage, 'boot/rpiab.txt'));
    assert.throws(() => stockBoot(storage), { code: 'EISDIR' });
    assert.throws(() => stockRevisions(storage), { code: 'EISDIR' });
  });

  it('names every revision that any of them may boot, whichever is the right one', () => {
    const name = fc.constantFrom('0', '3', '4', 'gone', 'locals/x', 'locals/gone');
    const record = fc.record({
      rev: fc.option(name, { nil: '' }),
      tried: fc.option(name, { nil: '' }),
      end: fc.constantFrom('\0', '\n'),
    });
    const files = fc.dictionary(fc.constantFrom('rpiab.txt', 'efiab.txt', 'grubenv', 'uboot.txt'), record);
    fc.assert(
      fc.property(files, fc.option(name), fc.boolean(), (records, link, isAbsolute) => {
        for (const folder of ['boot', 'trails/current'])
          rmSync(join(storage, folder), { recursive: true, force: true });
        mkdirSync(join(storage, 'boot'));
        const named = new Set<string>();
        for (const [file, { rev, tried, end }] of Object.entries(records)) {
          write(file, `other=1${end}pv_rev=${rev}${end}pv_try=${tried}${end}`);
          for (const each of [rev, tried]) if (each !== '') named.add(each);
        }
        if (link !== null) {
          symlinkSync(isAbsolute ? `/storage/trails/${link}` : link, join(storage, 'trails/current'));
          named.add(link);
        }
        assert.deepEqual(stockRevisions(storage), named);
        const { revision, tried, startedLast, isCertain } = stockBoot(storage);
        for (const each of [revision, tried, startedLast])
          assert.ok(each === undefined || named.has(each) || each === '0');
        if (isCertain) assert.ok(startedLast === undefined || startedLast === revision || startedLast === tried);
      }),
      { numRuns: 200 },
    );
  });
});
