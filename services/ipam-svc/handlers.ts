// What ipam-svc answers: decide at once in the ledger, wait for the disk, then say so.
import type * as z from 'zod/mini';
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Pool } from '../../shared/schema/network.ts';
import type { ipamContract } from './contract.ts';
import type { Configuration } from './journal-format.ts';
import { type LeasePage, leasePage } from './lease-page.ts';
import type { LeaseStore } from './lease-store.ts';
import type { ConfigureRefusal, Granted } from './ledger.ts';
import { poolSize } from './pool.ts';
import { createPreparedParts, joined } from './prepared-parts.ts';

export interface Deps {
  readonly store: LeaseStore;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Hears of each change of a lease once it is on disk. */
  readonly listener?: LeaseListener;
}

export interface LeaseListener {
  allocated(lease: EventPayload<'leaseAllocated'>): void;
  released(lease: EventPayload<'leaseReleased'>): void;
}

type EventPayload<E extends keyof (typeof ipamContract)['events']> = z.output<
  (typeof ipamContract)['events'][E]['payload']
>;

/** Answers that depend on somebody else's write which failed are decided anew; this often before the failure is the answer. */
const ATTEMPTS = 3;

export function createHandlers({ store, log, now, listener }: Deps): Handlers<typeof ipamContract> {
  const { ledger } = store;
  const announce = createAnnouncer(log);
  const parts = createPreparedParts();

  /** What `read` says once all it saw is on disk. */
  async function readSettled<T>(read: () => T): Promise<T> {
    for (;;) {
      const value = read();
      const settled = await store.commit({ records: [], undo: () => undefined });
      if (settled.ok) return value;
    }
  }

  return {
    prepare({ set, index, ...part }) {
      parts.add(set, index, part);
      return ok({});
    },

    async configure({ prepared, pools, ...own }) {
      const before = prepared === undefined ? [] : parts.take(prepared.set, prepared.count);
      if (before === undefined) return fail({ code: 'PARTS_MISSING' });
      const configuration = { pools, ...joined([...before, own]) };
      const configured = ledger.configure(configuration, now());
      if (!configured.ok) return fail(bounded(configured.error));
      const committed = await store.commit(configured.change);
      if (!committed.ok) return fail({ code: 'JOURNAL_UNWRITABLE', reason: committed.reason });
      announce(configuration, configured.warnings);
      return ok({});
    },

    async allocate({ container, interfaces }) {
      for (let attempt = 1; ; attempt += 1) {
        const allocated = ledger.allocate(container, interfaces, now());
        if (!allocated.ok) return fail(allocated.error);
        const committed = await store.commit(allocated.change);
        if (committed.ok) {
          for (const granted of allocated.granted) {
            logGranted(log, granted);
            if (!granted.reused || granted.previous !== undefined) listener?.allocated(allocatedEvent(granted, now()));
          }
          return ok({ leases: allocated.granted.map(({ lease, reused }) => Object.assign(lease, { reused })) });
        }
        if (allocated.change.records.length > 0 || attempt === ATTEMPTS) {
          return fail({ code: 'JOURNAL_UNWRITABLE', reason: committed.reason });
        }
      }
    },

    async release(key) {
      for (let attempt = 1; ; attempt += 1) {
        const change = ledger.release(key, now());
        const committed = await store.commit(change);
        if (committed.ok) {
          if (change.released) {
            log.info(`released the lease of ${key.container} (${key.interface}) in pool ${key.pool}`);
            listener?.released({ ...key, address: change.address, atMs: now() });
          }
          return ok({ released: change.released });
        }
        if (change.records.length > 0 || attempt === ATTEMPTS) {
          return fail({ code: 'JOURNAL_UNWRITABLE', reason: committed.reason });
        }
      }
    },

    async listLeases({ after, limit }) {
      const { leases, next } = await readSettled((): LeasePage => leasePage(ledger, after, limit));
      return ok({ leases: [...leases], next });
    },

    async listPools() {
      return ok({
        pools: await readSettled(() =>
          [...ledger.histories().values()]
            .flatMap((history) => history.active() ?? [])
            .map(({ view, table }) => ({
              ...withoutHostAddresses(view.pool),
              size: poolSize(view),
              leased: table.heldCount(),
            })),
        ),
      });
    },

    health: () => ok({ reasons: store.healthReasons() }),
  };
}

/** Problems that fit into a message; whoever mends these is told of more. */
const MAX_PROBLEMS = 64;

function bounded(refusal: ConfigureRefusal): ConfigureRefusal {
  return refusal.code === 'INVALID_POOLS'
    ? { code: refusal.code, problems: refusal.problems.slice(0, MAX_PROBLEMS) }
    : refusal;
}

/** What the revision says of it. */
function withoutHostAddresses({ hostAddresses: _, ...pool }: Pool): Pool {
  return pool;
}

function allocatedEvent({ lease }: Granted, atMs: number): EventPayload<'leaseAllocated'> {
  const { pool, container, interface: name, address, mac } = lease;
  return { pool, container, interface: name, address, mac, atMs };
}

function logGranted(log: Logger, { lease, reused, previous }: Granted): void {
  const address = `${lease.address}/${lease.prefixLength}`;
  if (previous !== undefined) log.info(`moved ${lease.container} from ${previous} in pool ${lease.pool}`);
  if (reused) log.info(`reusing existing lease for ${lease.container}: ${address}`);
  else log.info(`allocated ${address} to ${lease.container} from pool ${lease.pool}`);
}

/** Says what a configuration brought that was not said before, so that repeating one is silent. */
function createAnnouncer(log: Logger): (configuration: Configuration, warnings: readonly string[]) => void {
  let said = new Set<string>();
  return ({ pools, reservations }, warnings) => {
    const lines = [
      ...pools.map(
        (pool) =>
          `added pool '${pool.name}': type=${pool.type}, subnet=${pool.subnet}, gateway=${pool.gateway}, nat=${pool.nat ? 'yes' : 'no'}`,
      ),
      ...reservations.map(
        ({ address, container, pool }) => `reserved static IP ${address} (from ${container}) in pool '${pool}'`,
      ),
    ];
    for (const line of lines) if (!said.has(line)) log.info(line);
    for (const line of warnings) if (!said.has(line)) log.warn(`not reserved: ${line}`);
    said = new Set([...lines, ...warnings]);
  };
}
