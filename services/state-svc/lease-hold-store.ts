// What is known of unwanted leases after a restart:
//   <storage>/cache/lease-holds.json   {"<container>/<pool>/<interface>": <milliseconds for which no revision wanted it>, …}; absent when there are none
import { rm } from 'node:fs/promises';
import * as z from 'zod/mini';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { writeAtomically } from './atomic-file.ts';
import type { HoldTimes } from './lease-hold.ts';

const document = z.record(z.string(), z.int().check(z.minimum(0)));

export interface LeaseHoldStore {
  /** A damaged file is told and counts as empty: the leases are kept for longer. */
  load(): Promise<HoldTimes>;
  /** Rejects when it cannot be written. */
  save(times: HoldTimes): Promise<void>;
}

export function openLeaseHolds(path: string, log: Logger): LeaseHoldStore {
  return {
    async load() {
      try {
        const text = readIfPresent(path);
        return new Map(text === undefined ? [] : Object.entries(document.parse(JSON.parse(text))));
      } catch (error) {
        log.warn(`${path} is not readable, hold times of leases start over: ${String(error)}`);
        return new Map();
      }
    },
    async save(times) {
      if (times.size === 0) return rm(path, { force: true });
      const rounded = [...times].map(([container, heldMs]) => [container, Math.round(heldMs)] as const);
      await writeAtomically(path, `${JSON.stringify(Object.fromEntries(rounded))}\n`);
    },
  };
}
