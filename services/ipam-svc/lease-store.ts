// Keeps the ledger on disk: nobody is told of a change before it is synced, and a change that cannot be synced is undone.
//
// One synced write is under way at a time; what comes meanwhile waits and goes together in the next (group commit).
// When there is no room the file is cut back to what was synced. After any other failure nobody knows what the disk has of the last pages (the
// kernel drops dirty pages that it could not write), so the next change goes into a new file, as a snapshot.
import { errorCode, isFull, reasonOf, whyUnwritten } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { JournalDisk, Unreadable } from './journal-disk.ts';
import { type Entry, encodeLine } from './journal-format.ts';
import { type Scan, type ScanItem, scanJournal } from './journal-scan.ts';
import { type Change, createLedger, type Ledger } from './ledger.ts';

export type Committed = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface LeaseStore {
  readonly ledger: Ledger;
  /**
   * Resolves when these records, which the ledger has applied already, and all that came before are on disk; or when they
   * could not be written and are undone, with everything that came after them. Without records: waits for those before.
   */
  commit(change: Change): Promise<Committed>;
  healthReasons(): HealthReason[];
  /** Lets what is under way finish. */
  close(): Promise<void>;
}

/** Superseded lines that are worth a rewrite at least: below this a file is small if these are of leases (about 90 KB). */
const LEAST_GARBAGE_LINES = 1024;
/** Those of configurations are as long as the revision is large: 15 KB with 300 containers, and each is read at a start. */
const LEAST_GARBAGE_BYTES = 256 * 1024;

interface Waiting {
  readonly change: Change;
  readonly resolve: (committed: Committed) => void;
}

/** The kernel refused to take the bytes, so that it has no dirty pages it cannot write. */
function tookNothing(error: unknown): boolean {
  return isFull(error) || errorCode(error) === 'EFBIG';
}

/** What must happen before lines can be appended. `cut`: take an unsynced tail away. `rewrite`: a new file. */
type Repair = 'none' | 'cut' | 'rewrite';

interface JournalFile {
  repair: Repair;
  nextSequence: number;
  /** Size of what is whole and synced. */
  bytes: number;
  lines: number;
  /** What a snapshot took when it was last looked at; 0: never. */
  snapshotBytes: number;
  keepDamaged: boolean;
}

/** Throws where a journal cannot be read for another reason than damage of the disk: what is known may be had in a moment. */
export async function openLeaseStore(disk: JournalDisk, log: Logger): Promise<LeaseStore> {
  const ledger = createLedger();
  const { parts, goesOn, unreadable } = await disk.load();
  const visit = (item: ScanItem): void => {
    if (item.kind === 'record') ledger.replay(item.entry);
    if (item.kind !== 'damage') return;
    log.error(`lease journal: ${item.bytes} bytes at ${item.at} are unreadable, ${item.records} records lost`);
    ledger.damage(item);
  };
  const scans = parts.map((bytes) => ({ bytes, scan: scanJournal(bytes, visit, ledger.applyFirst) }));
  const file = fileAfter(scans, goesOn, unreadable);
  const reasons = [...unreadableReasons(unreadable, log), ...reportScans(scans, ledger, log)];
  if (file.repair === 'cut') await cutTail(disk, file, log);
  // What was rescued, or is in more files than one, is to be in one that is whole before the next damage, whether or not anybody asks for a lease
  // until then: who has one is told so without a write.
  const isAtRisk = !goesOn || unreadable?.rest === 'some';
  if (isAtRisk && parts.length > 0) await rescue(disk, file, ledger, log);
  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  let unwritable: string | undefined;

  function commit(change: Change): Promise<Committed> {
    if (change.records.length === 0 && running === undefined) return Promise.resolve({ ok: true });
    return new Promise((resolve) => {
      waiting.push({ change, resolve });
      running ??= drain();
    });
  }

  async function drain(): Promise<void> {
    // What arrived in the same turn goes in the same write.
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await persist(
          disk,
          file,
          batch.flatMap(({ change }) => change.records),
          ledger,
          log,
        );
        unwritable = undefined;
        for (const { resolve } of batch) resolve({ ok: true });
      } catch (error) {
        unwritable = whyUnwritten(error);
        log.error(`cannot write the lease journal: ${unwritable}. No lease is given until this works again`);
        if (file.repair === 'cut') await cutTail(disk, file, log);
        rollBack([...batch, ...waiting], unwritable);
        waiting = [];
      }
    }
    running = undefined;
  }

  return {
    ledger,
    commit,
    healthReasons: () => [...reasons, ...damageReasons(ledger), ...unwritableReasons(unwritable)],
    async close() {
      await running;
      await disk.close();
    },
  };
}

function rollBack(batch: readonly Waiting[], reason: string): void {
  for (let at = batch.length - 1; at >= 0; at -= 1) batch[at]?.change.undo();
  for (const { resolve } of batch) resolve({ ok: false, reason });
}

/** The ledger's state is exactly the file's and these records when this is called, so a snapshot can stand for them. */
async function persist(
  disk: JournalDisk,
  file: JournalFile,
  records: readonly Entry[],
  ledger: Ledger,
  log: Logger,
): Promise<void> {
  if (records.length === 0) return;
  const garbage = file.lines - ledger.size();
  const isByLines = garbage > Math.max(LEAST_GARBAGE_LINES, ledger.size());
  const isGarbage = isByLines || (garbage > 0 && isMostlyGarbage(file, ledger));
  const compact = file.repair === 'none' && isGarbage;
  if (file.repair === 'rewrite' || compact) {
    const prepared = await prepareRewrite(disk, file, ledger.snapshot(), log);
    if (prepared.ok) return adoptRewrite(disk, file, prepared);
    if (!compact) throw prepared.error;
    log.warn(`cannot compact the lease journal, appending to the old one: ${String(prepared.error)}`);
  }
  if (file.repair === 'cut') {
    await disk.truncate(file.bytes);
    file.repair = 'none';
  }
  await append(disk, file, records);
}

/** By bytes; some lines are superseded. A snapshot is made for it only where the file has grown to more than twice the one before. */
function isMostlyGarbage(file: JournalFile, ledger: Ledger): boolean {
  const isMostly = (): boolean => file.bytes > 2 * file.snapshotBytes + LEAST_GARBAGE_BYTES;
  if (!isMostly()) return false;
  file.snapshotBytes = encodeLines(1, ledger.snapshot()).length;
  return isMostly();
}

async function append(disk: JournalDisk, file: JournalFile, records: readonly Entry[]): Promise<void> {
  const bytes = Buffer.from(encodeLines(file.nextSequence, records), 'latin1');
  try {
    await disk.append(bytes, file.bytes);
  } catch (error) {
    file.repair = tookNothing(error) ? 'cut' : 'rewrite';
    throw error;
  }
  file.bytes += bytes.length;
  file.lines += records.length;
  file.nextSequence += records.length;
}

interface Prepared {
  readonly bytes: number;
  readonly lines: number;
}

async function prepareRewrite(
  disk: JournalDisk,
  file: JournalFile,
  entries: readonly Entry[],
  log: Logger,
): Promise<({ ok: true } & Prepared) | { ok: false; error: unknown }> {
  const bytes = Buffer.from(encodeLines(1, entries), 'latin1');
  if (file.keepDamaged) {
    file.keepDamaged = false;
    await disk.keepDamaged().catch((error: unknown) => log.warn(`cannot keep the damaged journal: ${String(error)}`));
  }
  try {
    await disk.prepare(bytes);
    return { ok: true, bytes: bytes.length, lines: entries.length };
  } catch (error) {
    return { ok: false, error };
  }
}

async function adoptRewrite(disk: JournalDisk, file: JournalFile, { bytes, lines }: Prepared): Promise<void> {
  file.repair = 'rewrite';
  await disk.adopt();
  file.repair = 'none';
  file.bytes = bytes;
  file.lines = lines;
  file.snapshotBytes = bytes;
  file.nextSequence = lines + 1;
}

/** Takes away what was written and not acknowledged, so that a crash now would not bring it back. Failing that, the next write tries again. */
async function cutTail(disk: JournalDisk, file: JournalFile, log: Logger): Promise<void> {
  try {
    await disk.truncate(file.bytes);
    file.repair = 'none';
  } catch (error) {
    log.warn(`cannot cut the lease journal back to its last whole line: ${String(error)}`);
  }
}

function encodeLines(firstSequence: number, entries: readonly Entry[]): string {
  let text = '';
  for (const [index, entry] of entries.entries()) text += encodeLine(firstSequence + index, entry);
  return text;
}

interface ScannedPart {
  readonly bytes: Buffer;
  readonly scan: Scan;
}

function fileAfter(parts: readonly ScannedPart[], goesOn: boolean, unreadable: Unreadable | undefined): JournalFile {
  const damaged = parts.some(({ scan }) => scan.corrected > 0 || scan.damages > 0);
  const keepDamaged = damaged || (unreadable !== undefined && unreadable.rest !== 'later');
  const last = parts.at(-1);
  const unseen = { snapshotBytes: 0, keepDamaged };
  if (!goesOn || last === undefined) return { repair: 'rewrite', nextSequence: 1, bytes: 0, lines: 0, ...unseen };
  const { bytes, scan } = last;
  const whole = bytes[scan.wholeBytes - 1] === 0x0a;
  const torn = scan.wholeBytes < bytes.length;
  return {
    // The one that is appended to may be longer than what was read of it.
    repair: damaged || !whole || unreadable?.rest === 'some' ? 'rewrite' : torn ? 'cut' : 'none',
    nextSequence: scan.nextSequence,
    bytes: scan.wholeBytes,
    lines: scan.items,
    ...unseen,
  };
}

async function rescue(disk: JournalDisk, file: JournalFile, ledger: Ledger, log: Logger): Promise<void> {
  try {
    const prepared = await prepareRewrite(disk, file, ledger.snapshot(), log);
    if (!prepared.ok) throw prepared.error;
    await adoptRewrite(disk, file, prepared);
  } catch (error) {
    log.error(`the rescued leases cannot be written: ${reasonOf(error)}`);
  }
}

function reportScans(parts: readonly ScannedPart[], ledger: Ledger, log: Logger): HealthReason[] {
  const cut = parts.reduce((sum, { bytes, scan }) => sum + bytes.length - scan.wholeBytes, 0);
  if (cut > 0) log.warn(`lease journal: dropped ${cut} bytes of a last line that a crash cut short`);
  const leases = [...ledger.histories().values()].reduce((sum, { table }) => sum + table.heldCount(), 0);
  if (parts.some(({ bytes }) => bytes.length > 0)) log.info(`read ${leases} leases from the journal`);
  const corrected = parts.reduce((sum, { scan }) => sum + scan.corrected, 0);
  if (corrected === 0) return [];
  const message = `${corrected} flipped bit(s) in the lease journal were put right and no lease is lost; suspect the storage or its memory`;
  log.warn(message);
  return [{ code: 'JOURNAL_CORRECTED', subject: 'leases.journal', message }];
}

const LOSSES: Readonly<Record<Unreadable['rest'], (since: string) => string>> = {
  all: () => 'no lease is lost, as what was written since the machine started is in memory as well',
  some: () => 'leases that were in the unreadable part are lost',
  later: (since) => `leases are in ${since} since, and those that it alone has are lost`,
  none: () => 'its leases are lost: containers get their fixed addresses, or new ones',
};

function unreadableReasons(unreadable: Unreadable | undefined, log: Logger): HealthReason[] {
  if (unreadable === undefined) return [];
  const { file, reason, rest, since } = unreadable;
  const message =
    `ipam/${file} cannot be read (${reason.slice(0, 120)}): ${LOSSES[rest](since)}. It is kept, as it is or as ${file}.damaged. Stop Berth and check the ` +
    `file system of the storage (fsck): what ${file} has then is taken up at the next start`;
  log.error(message);
  return [{ code: 'JOURNAL_UNREADABLE', subject: 'leases.journal', message }];
}

function damageReasons(ledger: Ledger): HealthReason[] {
  const { records } = ledger.doubt();
  if (records === 0) return [];
  const kept = [...ledger.histories().values()].reduce((sum, history) => sum + history.quarantinedCount(), 0);
  const message =
    `up to ${records} records of the lease journal were lost; ${kept} addresses that they may have given away are not issued. ` +
    'To start afresh, stop all containers and remove ipam/leases.journal (the damaged one is kept beside it as .damaged)';
  return [{ code: 'JOURNAL_DAMAGED', subject: 'leases.journal', message }];
}

function unwritableReasons(reason: string | undefined): HealthReason[] {
  if (reason === undefined) return [];
  const message = `the lease journal cannot be written: running containers are not affected, new leases are refused. ${reason}`;
  return [{ code: 'JOURNAL_UNWRITABLE', subject: 'leases.journal', message }];
}
