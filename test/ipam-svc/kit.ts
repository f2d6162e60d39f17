// A whole ipam-svc in this process: the real contract, store and ledger, over a memory bus and a real folder or a disk of the test's.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ctlContract } from '../../services/ctl-svc/contract.ts';
import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { createHandlers } from '../../services/ipam-svc/handlers.ts';
import { createJournalDisk, type JournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import type { Client } from '../../shared/ipc/contract.ts';
import { createMemoryBus } from '../../shared/ipc/memory-bus.ts';
import { type Logger, silentLogger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Pool, Reservation } from '../../shared/schema/network.ts';
import { patient } from '../kit/patient.ts';

export const INTERNAL: Pool = {
  name: 'internal',
  type: 'bridge',
  bridge: 'pvbr0',
  subnet: '10.0.5.0/24',
  gateway: '10.0.5.1',
  nat: true,
};
/** Room for 5: .2 to .6. */
export const SMALL: Pool = { ...INTERNAL, name: 'small', bridge: 'pvbr2', subnet: '10.0.7.0/29', gateway: '10.0.7.1' };
/** Room for one. */
export const TINY: Pool = { ...INTERNAL, name: 'tiny', bridge: 'pvbr3', subnet: '10.0.8.0/30', gateway: '10.0.8.1' };

export function reserve(
  pool: Pool,
  container: string,
  address: string,
  kind: 'static' | 'legacy' = 'static',
): Reservation {
  return { pool: pool.name, container, interface: 'eth0', address, kind };
}

export interface Running {
  readonly client: Client<typeof ipamContract>;
  readonly lines: string[];
  health(): Promise<HealthReason[]>;
  stop(): Promise<void>;
}

export async function startIpam(disk: JournalDisk): Promise<Running> {
  const lines: string[] = [];
  const log = collectingLogger(lines);
  const store = await openLeaseStore(disk, log);
  const bus = createMemoryBus([ipamContract, stateContract, ctlContract]);
  const channel = bus.connect('ipam-svc');
  channel.serve(ipamContract, createHandlers({ store, log, now: Date.now }));
  channel.ready();
  const caller = bus.connect('state-svc');
  caller.ready();
  const asker = bus.connect('ctl-svc');
  asker.ready();
  return {
    client: caller.client(patient(ipamContract)),
    lines,
    async health() {
      const answer = await asker.client(patient(ipamContract)).health({});
      return answer.ok ? answer.value.reasons : [];
    },
    async stop() {
      bus.close();
      await store.close();
    },
  };
}

export async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-ipam-'));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** One service on a folder of its own. */
export async function withIpam(run: (ipam: Running, folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const ipam = await startIpam(createJournalDisk(folder));
    try {
      await run(ipam, folder);
    } finally {
      await ipam.stop();
    }
  });
}

export function collectingLogger(lines: string[]): Logger {
  const collect = (message: string): void => void lines.push(message);
  return { ...silentLogger, fatal: collect, error: collect, warn: collect, info: collect };
}

type AllocateAnswer = Awaited<ReturnType<Client<typeof ipamContract>['allocate']>>;

/** The address of the first lease, or the error's code. */
export function outcome(answer: AllocateAnswer): string {
  return answer.ok ? (answer.value.leases[0]?.address ?? 'none') : answer.error.code;
}

export async function ask(ipam: Running, pool: Pool, container: string, address?: string): Promise<string> {
  const wish = { interface: 'eth0', pool: pool.name, ...(address === undefined ? {} : { address }) };
  return outcome(await ipam.client.allocate({ container, interfaces: [wish] }));
}
