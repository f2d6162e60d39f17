// Which addresses bridges of others have from us, as far as it is on file.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openLentAddresses } from '../../services/net-svc/lent-addresses.ts';

const [FIRST, SECOND] = [
  { linkIndex: 7, address: '10.0.3.1', prefixLength: 24 },
  { linkIndex: 8, address: '10.0.3.1', prefixLength: 24 },
];

describe('net-svc.lentAddresses', () => {
  let folder: string;
  let path: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-lent-'));
    path = join(folder, '.lent');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('are on file once each, as long as one is left', () => {
    const lent = openLentAddresses(path);
    for (const address of [FIRST, SECOND, FIRST]) lent.add(address);
    assert.deepEqual(openLentAddresses(path).list(), [FIRST, SECOND]);
    lent.drop(FIRST);
    assert.deepEqual(openLentAddresses(path).list(), [SECOND]);
    lent.drop(SECOND);
    assert.ok(!existsSync(path));
  });

  it('are those of this boot, and of a file that can be understood', () => {
    openLentAddresses(path).add(FIRST);
    const { boot, ...rest } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ boot, ...rest }));
    assert.deepEqual(openLentAddresses(path).list(), [FIRST]);
    for (const text of [JSON.stringify({ boot: 'another', ...rest }), '{', '']) {
      writeFileSync(path, text);
      assert.deepEqual(openLentAddresses(path).list(), []);
    }
  });
});
