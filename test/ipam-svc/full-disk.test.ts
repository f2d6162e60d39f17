// A real file system with no room left, mounted in a namespace of the test's.
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { unmount } from '../kit/unmount.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { ask, INTERNAL, startIpam } from './kit.ts';

const FOLDER = '/run/berth-full-disk';

describe('ipam-svc on a full disk', () => {
  it('refuses with JOURNAL_UNWRITABLE, keeps what it gave, and goes on when there is room', async () => {
    mkdirSync(FOLDER);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'berth-full-disk', FOLDER]);
    const ipam = await startIpam(createJournalDisk(FOLDER));
    const pool = { ...INTERNAL, subnet: '10.0.0.0/16', gateway: '10.0.0.1' };
    await ipam.client.configure({ pools: [pool], reservations: [] });
    writeFileSync(`${FOLDER}/ballast`, Buffer.alloc(16 * 1024));
    const given = new Map<string, string>();
    let refused: string | undefined;
    for (let index = 0; index < 2000 && refused === undefined; index += 1) {
      const answer = await ask(ipam, pool, `app-${index}`);
      if (answer.startsWith('10.')) given.set(`app-${index}`, answer);
      else refused = answer;
    }
    assert.equal(refused, 'JOURNAL_UNWRITABLE');
    assert.ok(given.size > 100);
    assert.equal(await ask(ipam, pool, 'app-0'), '10.0.0.2');
    rmSync(`${FOLDER}/ballast`);
    given.set('late', await ask(ipam, pool, 'late'));
    assert.equal(new Set(given.values()).size, given.size);
    await ipam.stop();
    assert.ok(statSync(`${FOLDER}/leases.journal`).size <= 64 * 1024);

    const again = await startIpam(createJournalDisk(FOLDER));
    for (const [name, address] of given) assert.equal(await ask(again, pool, name), address);
    await again.stop();
    await unmount(FOLDER);
  });

  it('gives leases that it has from a storage that is read-only, and new ones when it is not any more', async () => {
    const folder = `${FOLDER}-read-only`;
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', 'berth-read-only', folder]);
    const before = await startIpam(createJournalDisk(folder));
    await before.client.configure({ pools: [INTERNAL], reservations: [] });
    const address = await ask(before, INTERNAL, 'old');
    await before.stop();

    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const ipam = await startIpam(createJournalDisk(folder));
    assert.equal((await ipam.client.configure({ pools: [INTERNAL], reservations: [] })).ok, true);
    assert.equal(await ask(ipam, INTERNAL, 'old'), address);
    assert.equal(await ask(ipam, INTERNAL, 'new'), 'JOURNAL_UNWRITABLE');
    execFileSync('mount', ['-o', 'remount,rw', folder]);
    const fresh = await ask(ipam, INTERNAL, 'new');
    await ipam.stop();

    const again = await startIpam(createJournalDisk(folder));
    assert.equal(await ask(again, INTERNAL, 'old'), address);
    assert.equal(await ask(again, INTERNAL, 'new'), fresh);
    await again.stop();
    await unmount(folder);
  });
});
