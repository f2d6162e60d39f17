// Bench rows of a full /16, 65,533 leases on disk: how fast it fills, what one more allocation costs, how large its journal is and
// how long a start reads it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { createHandlers } from '../../services/ipam-svc/handlers.ts';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { createLedger } from '../../services/ipam-svc/ledger.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { median, type Row } from './row.ts';

const LEASES = 65_533;
const CLIENTS = 8;
/** Requests that each client has under way: it starts its containers together. */
const REQUESTS_EACH = 16;
const LOADS = 5;
const FILLS = 3;

const POOL = {
  name: 'bench',
  type: 'bridge',
  bridge: 'bench0',
  subnet: '10.1.0.0/16',
  gateway: '10.1.128.0',
  nat: false,
} as const;

/** About 30 s, most of it the one client. In the current folder, because /tmp may be a tmpfs, where a sync costs nothing. */
export async function ipamRows(): Promise<Row[]> {
  const rows: Row[] = [];
  const parallel: number[] = [];
  for (let round = 1; round < FILLS; round += 1) parallel.push(await inFolder((folder) => fill(folder, CLIENTS)));
  await inFolder(async (folder) => {
    parallel.push(await fill(folder, CLIENTS));
    rows.push(fillRow(`${CLIENTS} clients, ${REQUESTS_EACH} requests each`, median(parallel), '≥ 80,000'));
    rows.push(...journalRows(folder));
  });
  rows.push(fillRow('one client, one request', await inFolder((folder) => fill(folder, 1)), undefined));
  rows.push(nearlyFullRow());
  return rows;
}

async function inFolder<T>(run: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(process.cwd(), '.bench-ipam-'));
  try {
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Leases per second, each answered after it is synced, through the handlers that requests reach. */
async function fill(folder: string, clients: number): Promise<number> {
  const store = await openLeaseStore(createJournalDisk(folder), silentLogger);
  const handlers = createHandlers({ store, log: silentLogger, now: Date.now });
  const context = { caller: 'state-svc', signal: new AbortController().signal } as const;
  await handlers.configure({ pools: [POOL], reservations: [] }, context);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < LEASES) {
      const container = `app-${next++}`;
      const answer = await handlers.allocate(
        { container, interfaces: [{ interface: 'eth0', pool: POOL.name }] },
        context,
      );
      if (!answer.ok) throw new Error(answer.error.code);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: clients === 1 ? 1 : clients * REQUESTS_EACH }, worker));
  const rate = (LEASES * 1000) / (performance.now() - started);
  await store.close();
  return rate;
}

function fillRow(who: string, value: number, goal: string | undefined): Row {
  const row = {
    name: `fill of a /16 on disk, ${who}`,
    unit: 'leases/s',
    value: Math.round(value),
    better: 'higher',
  } as const;
  return goal === undefined ? row : { ...row, goal };
}

/** Each load in a process of its own, with the heap that the service has: a start finds no warm code. */
function journalRows(folder: string): Row[] {
  const program = join(import.meta.dirname, 'journal-load.ts');
  const flags = ['--max-semi-space-size=1', '--max-old-space-size=128', '--import', 'tsx'];
  const loads = Array.from({ length: LOADS }, () =>
    Number(execFileSync(process.execPath, [...flags, program, folder], { encoding: 'utf8' })),
  );
  const bytes = statSync(join(folder, 'leases.journal')).size;
  return [
    { name: 'load of 65,533 leases', unit: 'ms', value: median(loads), better: 'lower', goal: '≤ 150' },
    { name: 'journal of 65,533 leases', unit: 'MB', value: bytes / 1e6, better: 'lower' },
  ];
}

/** CPU of the decision and its record at 99 % of the pool, half of it with addresses that were released. */
function nearlyFullRow(): Row {
  const ledger = createLedger();
  ledger.configure({ pools: [POOL], reservations: [] }, 1);
  const take = (name: string): void => {
    const answer = ledger.allocate(name, [{ interface: 'eth0', pool: POOL.name }], 1);
    if (!answer.ok) throw new Error(answer.error.code);
  };
  for (let index = 0; index < LEASES * 0.99; index += 1) take(`app-${index}`);
  const costs: number[] = [];
  for (let index = 0; index < 5_000; index += 1) {
    const before = process.cpuUsage();
    take(`late-${index}`);
    const { user, system } = process.cpuUsage(before);
    costs.push(user + system);
    if (index >= 300) ledger.release({ pool: POOL.name, container: `late-${index - 300}`, interface: 'eth0' }, 1);
  }
  costs.sort((a, b) => a - b);
  const value = costs[Math.floor(costs.length * 0.99)] ?? Number.NaN;
  return { name: 'allocation at 99 % of a /16, CPU, p99', unit: 'µs', value, better: 'lower', goal: '≤ 1,000' };
}
