// Power cuts at moments that nobody chose, while the device writes: what it promised is there afterwards. `--cuts`, `--during` and `--seed` are npm run hw's.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, it } from 'node:test';
import { createJournalDisk } from '../services/ipam-svc/journal-disk.ts';
import { ask, INTERNAL, type Running, startIpam } from '../test/ipam-svc/kit.ts';
import { dice } from '../test/kit/dice.ts';
import { KINDS } from './cut-kinds.ts';
import { cutDuring, keepsItsWord, type Promised, prepare, revision } from './cut-load.ts';
import { openTarget, seed, targetName } from './open-target.ts';
import { output, type Target } from './target.ts';

const cuts = Number(process.env.BERTH_HW_CUTS ?? 6);
const during = KINDS.find((kind) => kind === process.env.BERTH_HW_DURING);
/** Leases that came and went until the journal of a fresh device is as long as it may become: the next release of one has it written anew. */
const CHURNED = 638;
const CHURNED_KEY = {
  pool: INTERNAL.name,
  container: 'churned',
  interface: 'eth0',
};

/** Writes a journal that is about to be rewritten. */
async function ageJournal(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await withIpam(folder, async (ipam) => {
    await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
    for (let turn = 0; turn < CHURNED; turn += 1) {
      await ask(ipam, INTERNAL, CHURNED_KEY.container);
      await ipam.client.release(CHURNED_KEY);
    }
  });
  await checkAge(folder);
}

/** What the device will do, tried with a copy: its boot allocates, and only the release that comes then makes the journal short. */
async function checkAge(journal: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-aged-'));
  const bytes = (): number => statSync(join(folder, 'leases.journal')).size;
  try {
    cpSync(journal, folder, { recursive: true });
    await withIpam(folder, async (ipam) => {
      const young = bytes();
      for (const container of [CHURNED_KEY.container, 'talks']) await ask(ipam, INTERNAL, container);
      assert.ok(bytes() > young, 'the journal was compacted too early');
      await ipam.client.release(CHURNED_KEY);
      assert.ok(bytes() < young, 'the journal was not compacted');
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withIpam(folder: string, act: (ipam: Running) => Promise<void>): Promise<void> {
  const ipam = await startIpam(createJournalDisk(folder));
  try {
    await act(ipam);
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
    if (during === undefined || during === 'compaction') {
      const aged = join(folder, 'ipam');
      if (!existsSync(aged)) await ageJournal(aged);
      cpSync(aged, join(storage, 'ipam'), { recursive: true });
    }
    target = await openTarget(storage);
    if (target.lacks('cut') === undefined) {
      await target.powerOn();
      promised = await prepare(target);
    }
    return [
      target,
      promised ?? {
        leases: new Map(),
        metadata: new Map(),
        revisions: [],
        stopped: new Set(),
      },
    ];
  };

  for (let round = 0; round < cuts; round += 1) {
    const kind = during ?? KINDS[round % KINDS.length] ?? 'update';
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
      const startMs = performance.now();
      await device.powerOn();
      // A machine that wrote all of it on its way down would pass the rest as well.
      if (device.isEmulated) assert.equal(await output(device, ['cat', '/run/berth-vm/storage-left']), 'mounted\n');
      const found = await keepsItsWord(device, word, folder);
      test.diagnostic(`power-on to all goals: ${Math.round(found.settledMs - startMs)} ms; ${found.told}`);
      promised = word;
    });
  }
});
