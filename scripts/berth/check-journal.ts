// What a lease journal holds and where it is damaged, read as ipam-svc would read it; nothing is repaired here.
import { readFileSync } from 'node:fs';
import { UnknownJournalVersion } from '../../services/ipam-svc/journal-format.ts';
import { type Scan, type ScanItem, scanJournal } from '../../services/ipam-svc/journal-scan.ts';
import { createLedger, type Ledger } from '../../services/ipam-svc/ledger.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Problem } from '../../shared/revision/revision.ts';

export interface JournalCounts {
  readonly bytes: number;
  readonly records: number;
  readonly pools: number;
  readonly leases: number;
  /** Addresses that somebody had and nobody has. */
  readonly released: number;
  /** Addresses that are never issued, because a damaged part may have given them away. */
  readonly quarantined: number;
  /** Superseded records: what a rewrite would leave out. */
  readonly superseded: number;
}

export interface CheckedJournal {
  readonly summary: string;
  readonly counts: JournalCounts | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Paths of problems are `<file>@<byte offset>`. Codes: UNREADABLE, UNKNOWN_VERSION, DAMAGED, BIT_FLIPPED; warning TORN_TAIL. */
export function checkJournal(file: string): CheckedJournal {
  const summary = `journal ${file}`;
  const refused = (code: string, message: string): CheckedJournal => ({
    summary,
    counts: undefined,
    warnings: [],
    problems: [{ path: file, code, message }],
  });
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return refused('UNREADABLE', `cannot be read: ${reasonOf(error)}`);
  }
  try {
    return judge(file, bytes);
  } catch (error) {
    if (!(error instanceof UnknownJournalVersion)) throw error;
    return refused('UNKNOWN_VERSION', `${error.message}; this program reads version 1`);
  }
}

function judge(file: string, bytes: Buffer): CheckedJournal {
  const ledger = createLedger();
  const problems: Problem[] = [];
  let records = 0;
  const visit = (item: ScanItem): void => {
    switch (item.kind) {
      case 'record':
        records += 1;
        ledger.replay(item.entry);
        return;
      case 'corrected': {
        const message = `one bit of these ${item.bytes} bytes is flipped; nothing is lost, ipam-svc puts it right when it starts`;
        problems.push({ path: `${file}@${item.at}`, code: 'BIT_FLIPPED', message });
        return;
      }
      case 'damage':
        ledger.damage(item);
        problems.push({ path: `${file}@${item.at}`, code: 'DAMAGED', message: damageMessage(item) });
    }
  };
  const scan = scanJournal(bytes, visit);
  return {
    summary: `journal ${file}`,
    counts: countsOf(ledger, bytes.length, records),
    problems,
    warnings: tornTail(file, scan, bytes.length),
  };
}

function damageMessage({ bytes, records }: { readonly bytes: number; readonly records: number }): string {
  const what = bytes === 0 ? 'records are missing between two lines' : `${bytes} bytes cannot be read`;
  return `${what}: up to ${records} records are lost; ipam-svc starts, and issues no address that they may have given away`;
}

/** A crash in the middle of a write leaves this, and whoever asked was never told: no damage. */
function tornTail(file: string, { wholeBytes }: Scan, bytes: number): readonly Problem[] {
  if (wholeBytes === bytes) return [];
  const message = `the last ${bytes - wholeBytes} bytes are a write that was cut short and never acknowledged`;
  return [{ path: `${file}@${wholeBytes}`, code: 'TORN_TAIL', message }];
}

function countsOf(ledger: Ledger, bytes: number, records: number): JournalCounts {
  const histories = [...ledger.histories().values()];
  const sum = (count: (history: (typeof histories)[number]) => number): number =>
    histories.reduce((total, history) => total + count(history), 0);
  const leases = sum(({ table }) => table.heldCount());
  return {
    bytes,
    records,
    leases,
    pools: ledger.configuration().pools.length,
    released: sum(({ table }) => table.count()) - leases,
    quarantined: sum((history) => history.quarantined().length),
    superseded: Math.max(0, records - ledger.snapshot().length),
  };
}
