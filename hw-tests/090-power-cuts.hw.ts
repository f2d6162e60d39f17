// Power cuts at moments that nobody chose, while the device writes: what it promised is there afterwards. `--cuts` and `--seed` are npm run hw's.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, it } from 'node:test';
import { createJournalDisk } from '../services/ipam-svc/journal-disk.ts';
import { ask, INTERNAL, startIpam } from '../test/ipam-svc/kit.ts';
import { dice } from '../test/kit/dice.ts';
import { cutDuring, KINDS, keepsItsWord, type Promised, prepare, revision } from './cut-load.ts';
import { openTarget, seed, targetName } from './open-target.ts';
import type { Target } from './target.ts';

const cuts = Number(process.env.BERTH_HW_CUTS ?? 6);
/** Pairs of lines that are superseded in the journal of a fresh device: the next few changes compact it. */
const PAIRS = 511;

/** A journal that is about to be rewritten. */
async function ageJournal(storage: string): Promise<void> {
  const folder = join(storage, 'ipam');
  mkdirSync(folder, { recursive: true });
  const ipam = await startIpam(createJournalDisk(folder));
  try {
    await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
    const key = { pool: INTERNAL.name, container: 'churned', interface: 'eth0' };
    for (let pair = 0; pair < PAIRS; pair += 1) {
      await ask(ipam, INTERNAL, key.container);
      await ipam.client.release(key);
    }
  } finally {
    await ipam.stop();
  }
}

describe(`hw.power-cuts on ${targetName()}, seed ${seed()}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-cuts-'));
  let target: Target | undefined;
  let promised: Promised | undefined;
  after(async () => {
    await target?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A new device for each turn through all kinds, since only a new one has a journal to compact. */
  const freshDevice = async (): Promise<readonly [Target, Promised]> => {
    await target?.close();
    const storage = revision(0);
    await ageJournal(storage);
    target = await openTarget(storage);
    if (target.lacks('cut') === undefined) {
      await target.powerOn();
      promised = await prepare(target);
    }
    return [target, promised ?? { leases: new Map(), metadata: new Map(), revisions: [], stopped: new Set() }];
  };

  for (let round = 0; round < cuts; round += 1) {
    const kind = KINDS[round % KINDS.length] ?? 'update';
    it(`keeps its word over cut ${round + 1} of ${cuts}, during ${kind}`, async (test) => {
      const isFresh = target === undefined || promised === undefined || kind === KINDS[0];
      const [device, word] = isFresh ? await freshDevice() : [target, promised];
      if (device === undefined || word === undefined) return;
      const reason = device.lacks('cut');
      if (reason !== undefined) return test.skip(reason);
      // What fails here fails the next one no less: that one begins with another device.
      promised = undefined;
      const where = await cutDuring(kind, round + 1, device, word, dice(seed() * 1_000 + round));
      test.diagnostic(`cut: ${where}`);
      await device.powerOn();
      await keepsItsWord(device, word, folder);
      promised = word;
    });
  }
});
