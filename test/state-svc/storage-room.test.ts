// When garbage is collected by itself on a disk of which the test knows how much is used.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openDesk } from '../../services/state-svc/open-desk.ts';
import { openGarbage } from '../../services/state-svc/open-garbage.ts';
import { openRevisionStore } from '../../services/state-svc/revision-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { createStorageRoom } from '../../services/state-svc/storage-room.ts';
import { mount } from '../../shared/kernel/mount.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { createTestClock } from './test-clock.ts';

reexecInNamespaces(import.meta.filename);

const LOOK_MS = 30_000;
const MIB = 1024 * 1024;

/** Whether it collects where of 4 MiB a quarter is used. */
async function collects(thresholdPercent: number, reservedPercent: number): Promise<boolean> {
  const storage = mkdtempSync('/run/room-');
  mount('room', storage, 'tmpfs', 0, 'size=4M');
  for (const folder of ['objects', 'trails']) mkdirSync(join(storage, folder));
  writeFileSync(join(storage, 'full'), Buffer.alloc(MIB));
  const clock = createTestClock();
  const log = silentLogger;
  const desk = await openDesk({
    storage,
    store: openRevisionStore(storage, { checksum: () => assert.fail(), close: async () => undefined }),
    steps: openStepStore(storage, log),
    clock,
    log,
    reservedPercent: () => reservedPercent,
    usedFor: () => undefined,
    makeRoom: async () => undefined,
  });
  let collections = 0;
  const garbage = openGarbage({
    desk: {
      ...desk,
      inTurn: (act) => {
        collections += 1;
        return desk.inTurn(act);
      },
    },
    clock,
    log,
    storage,
    reservedPercent: () => reservedPercent,
    needed: () => new Set(),
    settings: () => ({ keepFactory: false, deferMs: 0, thresholdPercent }),
  });
  garbage.watch();
  clock.advance(LOOK_MS);
  await eventually('it has looked', 20_000, () => clock.armed().length === 1);
  garbage.close();
  return collections > 0;
}

describe('the room of a storage', () => {
  it('is none where all inodes but those in reserve are used, and garbage is collected then', async () => {
    const folder = mkdtempSync('/run/inodes-');
    mount('inodes', folder, 'tmpfs', 0, 'size=4M,nr_inodes=100');
    const room = createStorageRoom(folder, () => 5);
    assert.ok((await room.availableBytes()) > MIB);
    for (let at = 0; at < 94; at += 1) writeFileSync(join(folder, String(at)), '');
    assert.equal(await room.availableBytes(), 0);
    assert.equal(await room.availablePercent(), 0);
  });

  for (const [threshold, reserved, isCollected] of [
    [10, 5, false],
    [30, 5, false],
    [75, 0, false],
    [76, 0, true],
    [70, 5, false],
    [71, 5, true],
    [1, 80, true],
  ] as const) {
    const does = isCollected ? 'is' : 'is not';
    it(`${does} below ${threshold} % with 75 % free, ${reserved} of which are kept in reserve`, async () => {
      assert.equal(await collects(threshold, reserved), isCollected);
    });
  }
});
