// A disk whose files are damaged and given back by turns, with and without cuts of the power in between: no lease that was given is lost while the
// machine runs, and no address is two containers' at any time.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { withCopy } from '../../services/ipam-svc/journal-copy.ts';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { CANNOT_DAMAGE, damageMore, makeDamagedDisk, mountArguments, repairDisk } from '../kit/damaged-disk.ts';
import { dice } from '../kit/dice.ts';
import { unmount } from '../kit/unmount.ts';
import { ask, INTERNAL, type Running, startIpam } from './kit.ts';

/** More than containers ask for, so that nobody is refused for what lost lines may have given away. */
const POOL = { ...INTERNAL, subnet: '10.0.0.0/26', gateway: '10.0.0.1' };
const CONTAINERS = 30;
const TURNS = 20;
const FILES = ['leases.journal', 'leases.journal.later', 'leases.journal.later.1'] as const;

describe('ipam-svc on a disk that is damaged and mended by turns', { skip: CANNOT_DAMAGE }, () => {
  let folder = '';
  let disk = '';
  let image = '';
  let ipam: Running | undefined;
  beforeEach(() => {
    folder = mkdtempSync('/run/berth-ipam-');
    [disk = '', image = ''] = ['disk', 'image'].map((name) => join(folder, name));
    for (const each of ['disk', 'run', 'empty']) mkdirSync(join(folder, each));
    makeDamagedDisk(image, join(folder, 'empty'), []);
  });
  afterEach(async () => {
    await ipam?.stop();
    ipam = undefined;
    await unmount(disk);
    rmSync(folder, { recursive: true });
  });

  const start = async (): Promise<Running> => {
    execFileSync('mount', mountArguments(image, disk));
    const started = await startIpam(withCopy(createJournalDisk(disk), join(folder, 'run'), silentLogger));
    ipam = started;
    assert.ok((await started.client.configure({ pools: [POOL], reservations: [] })).ok);
    return started;
  };
  const heldBy = async ({ client }: Running): Promise<Map<string, string>> => {
    const answer = await client.listLeases({ limit: 2 * CONTAINERS });
    assert.ok(answer.ok);
    const held = answer.value.leases.filter(({ state }) => state !== 'released');
    assert.equal(new Set(held.map(({ address }) => address)).size, held.length, 'an address is given twice');
    return new Map(held.map(({ container, address }) => [container, address]));
  };

  for (const seed of [3, 4]) {
    it(`keeps what it has given, seed ${seed}`, async () => {
      const { below, pick } = dice(seed);
      let running = await start();
      let given = new Map<string, string>();
      const told: string[] = [];
      for (let turn = 0; turn < TURNS; turn += 1) {
        for (let left = below(5); left >= 0; left -= 1) {
          const container = `c${below(CONTAINERS)}`;
          if (below(3) === 0) {
            assert.ok((await running.client.release({ pool: POOL.name, container, interface: 'eth0' })).ok);
            given.delete(container);
            continue;
          }
          const address = await ask(running, POOL, container);
          assert.equal(address, given.get(container) ?? address, told.join());
          given.set(container, address);
        }
        await running.stop();
        ipam = undefined;
        await unmount(disk);
        const what = pick(['mended', 'damaged', 'damaged', 'as it was']);
        const file = pick(FILES);
        if (what === 'mended') repairDisk(image);
        if (what === 'damaged') damageMore(image, file);
        const isCut = below(3) === 0;
        if (isCut) rmSync(join(folder, 'run/leases.journal'), { force: true });
        told.push(`${what}${what === 'damaged' ? ` ${file}` : ''}${isCut ? ', cut' : ''}`);
        running = await start();
        const held = await heldBy(running);
        // What is in no file that can be read is lost by a cut; what was lost so may come back.
        if (!isCut) for (const [container, address] of given) assert.equal(held.get(container), address, told.join());
        given = held;
      }
    });
  }
});
