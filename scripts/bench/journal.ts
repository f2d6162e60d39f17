// Bench rows of the lease journal: allocations that are on disk, in parallel and one at a time, beside a bare write+fdatasync loop.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { createHandlers } from '../../services/ipam-svc/handlers.ts';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { encodeLine } from '../../services/ipam-svc/journal-format.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { median, type Row } from './row.ts';

/** Short and many, so that what else the disk does meets all three alike. */
const ROUNDS = 15;
const PARALLEL_MS = 100;
const SERIAL_MS = 100;
const BARE_MS = 100;
const IN_FLIGHT = 64;

const POOL = {
  name: 'bench',
  type: 'bridge',
  bridge: 'bench0',
  subnet: '10.0.0.0/8',
  gateway: '10.0.0.1',
  nat: false,
} as const;

/** About 5 s. In the current folder, because /tmp may be a tmpfs, where a sync costs nothing. */
export async function journalRows(): Promise<Row[]> {
  const parallel: number[] = [];
  const serial: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    bare.push(await inFolder(bareLoop));
    serial.push(await inFolder((folder) => allocations(folder, 1, SERIAL_MS)));
    parallel.push(await inFolder((folder) => allocations(folder, IN_FLIGHT, PARALLEL_MS)));
  }
  const baseline = { name: 'bare write+fdatasync loop', value: Math.round(median(bare)) };
  const row = { unit: 'leases/s', better: 'higher', baseline } as const;
  return [
    { ...row, name: 'lease on disk, 64 in flight', value: Math.round(median(parallel)), goal: '≥ 80,000' },
    { ...row, name: 'lease on disk, one at a time', value: Math.round(median(serial)), goal: 'ratio ≥ 0.8' },
  ];
}

async function inFolder(run: (folder: string) => number | Promise<number>): Promise<number> {
  const folder = mkdtempSync(join(process.cwd(), '.bench-journal-'));
  try {
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Leases per second, through the handlers that requests reach. */
async function allocations(folder: string, inFlight: number, forMs: number): Promise<number> {
  const store = await openLeaseStore(createJournalDisk(folder), silentLogger);
  const handlers = createHandlers({ store, log: silentLogger, now: Date.now });
  const context = { caller: 'state-svc', signal: new AbortController().signal } as const;
  await handlers.configure({ pools: [POOL], reservations: [] }, context);
  const started = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - started < forMs) {
      count += 1;
      const wish = { container: `app-${count}`, interfaces: [{ interface: 'eth0', pool: POOL.name }] };
      const answer = await handlers.allocate(wish, context);
      if (!answer.ok) throw new Error(answer.error.code);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const rate = (count * 1000) / (performance.now() - started);
  await store.close();
  return rate;
}

/** The same lines, each written and synced alone and without leaving the thread: what the disk allows. */
function bareLoop(folder: string): number {
  const fd = openSync(join(folder, 'bare'), 'w');
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < BARE_MS) {
    count += 1;
    const line = encodeLine(count, {
      op: 'lease',
      pool: POOL.name,
      container: `app-${count}`,
      interface: 'eth0',
      address: 0x0a000000 + count,
      origin: 'dynamic',
      mac: undefined,
      ms: Date.now(),
    });
    writeSync(fd, line);
    fdatasyncSync(fd);
  }
  closeSync(fd);
  return (count * 1000) / (performance.now() - started);
}
