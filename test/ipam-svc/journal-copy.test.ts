// The copy of the journal beside a disk that gives everything: it is as the journal is, or there is none.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { withCopy } from '../../services/ipam-svc/journal-copy.ts';
import { createJournalDisk, type JournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { silentLogger } from '../../shared/log/logger.ts';

describe('ipam.journal-copy', () => {
  let folder = '';
  let journal: JournalDisk;
  let copied = '';
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-copy-'));
    for (const name of ['disk', 'run']) mkdirSync(join(folder, name));
    copied = join(folder, 'run/leases.journal');
    await open();
    await journal.prepare(Buffer.from('one\n'));
    await journal.adopt();
  });
  afterEach(async () => {
    await journal.close();
    rmSync(folder, { recursive: true });
  });

  const open = async (): Promise<void> => {
    journal = withCopy(createJournalDisk(join(folder, 'disk')), join(folder, 'run'), silentLogger);
    await journal.load();
  };
  const copy = (): string => readFileSync(copied, 'latin1');

  it('is cut with the journal', async () => {
    await journal.append(Buffer.from('two\n'), 4);
    assert.equal(copy(), 'one\ntwo\n');
    await journal.truncate(4);
    assert.equal(copy(), 'one\n');
  });

  it('is gone where it cannot be kept, and there again with the next whole journal', async () => {
    await journal.close();
    const inTheWay = `${copied}.new`;
    mkdirSync(inTheWay);
    await open();
    assert.ok(!existsSync(copied));
    await journal.append(Buffer.from('two\n'), 4);
    rmSync(inTheWay, { recursive: true });
    await journal.prepare(Buffer.from('one\ntwo\nthree\n'));
    await journal.adopt();
    assert.equal(copy(), 'one\ntwo\nthree\n');
  });
});
