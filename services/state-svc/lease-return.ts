// Gives leases back that no revision that may run asks for, be it the container or its interface, after a hold time. Looks once a
// boot, with every update, and again only while there is something to wait for.

import type { Logger } from '../../shared/log/logger.ts';
import type { ContainerPlan } from '../../shared/revision/revision.ts';
import type { Clock } from './clock.ts';
import { heldLeases } from './held-leases.ts';
import { countHolds, type Held, type HoldTimes, isWanted, leaseName, type Wanted } from './lease-hold.ts';
import type { LeaseHoldStore } from './lease-hold-store.ts';
import type { Ask, Peers } from './peers.ts';

/** What a power cut can lose of the time counted; a write of a small file each, and only while a lease is waited for. */
const LOOK_MS = 10 * 60 * 1000;

export interface LeaseReturnContext {
  readonly peers: { readonly ipam: Pick<Peers['ipam'], 'listLeases' | 'release'> };
  readonly ask: Ask;
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: LeaseHoldStore;
  readonly holdMs: number;
}

export interface LeaseReturn {
  /**
   * `known`: every container of the revisions that may run, from now on; `plans`, of those whose interfaces are known too: what they no longer name is
   * given back as well. Never rejects; what does not work is tried again later.
   */
  open(known: ReadonlySet<string>, plans?: readonly NetworkOf[]): Promise<void>;
  /** Resolves when what was counted is written down. */
  close(): Promise<void>;
}

export type NetworkOf = Pick<ContainerPlan, 'name' | 'network'>;

/** Of several revisions' plans of one container, all that any of them names. */
function wantedOf(containers: ReadonlySet<string>, plans: readonly NetworkOf[]): Wanted {
  const leases = new Map<string, Set<string>>();
  for (const { name: container, network } of plans) {
    const names = leases.get(container) ?? new Set();
    leases.set(container, names);
    for (const each of network.mode === 'pool' ? network.interfaces : []) names.add(leaseName({ ...each, container }));
  }
  return { containers, leases };
}

export function createLeaseReturn(context: LeaseReturnContext): LeaseReturn {
  const { clock, log, store, holdMs } = context;
  let times: HoldTimes | undefined;
  let countedMs = clock.elapsedMs();
  let cancel: () => void = () => undefined;
  let isClosed = false;
  let wanted = wantedOf(new Set(), []);
  let looking: Promise<void> = Promise.resolve();

  const look = (): Promise<void> => {
    cancel();
    // One after the other: each counts on from what the one before counted.
    looking = looking.then(lookOnce);
    return looking;
  };

  const lookOnce = async (): Promise<void> => {
    if (isClosed) return;
    let nextMs: number | undefined = LOOK_MS;
    try {
      const leases = await heldLeases(context.peers.ipam, context.ask);
      const now = clock.elapsedMs();
      const before = times ?? (await store.load());
      const step = countHolds(before, leases, wanted, times === undefined ? 0 : now - countedMs, holdMs);
      tellNew(before, unwanted(leases, wanted), wanted, holdMs, log);
      times = step.times;
      countedMs = now;
      // Since the leases were listed an update may have brought their containers back.
      const due = step.due.filter((lease) => !isWanted(lease, wanted));
      const kept = await giveBack(context, due);
      times = new Map([...step.times].filter(([name, heldMs]) => heldMs < holdMs || kept.has(name)));
      if (isClosed) return;
      if (times.size > 0 || before.size > 0) await store.save(times);
      nextMs = kept.size > 0 ? LOOK_MS : step.nextMs;
    } catch (error) {
      log.warn(`leases of unknown containers could not be looked at: ${String(error)}`);
    }
    if (nextMs === undefined || isClosed) return;
    cancel();
    cancel = clock.after(Math.min(nextMs, LOOK_MS), () => void look());
  };

  return {
    open(known, plans = []) {
      wanted = wantedOf(known, plans);
      return look();
    },
    async close() {
      isClosed = true;
      cancel();
      if (times === undefined || times.size === 0) return;
      const passedMs = clock.elapsedMs() - countedMs;
      const counted = new Map([...times].map(([name, heldMs]) => [name, heldMs + passedMs]));
      await store
        .save(counted)
        .catch((error: unknown) => log.warn(`hold times of leases are not kept: ${String(error)}`));
    },
  };
}

const unwanted = (leases: readonly Held[], wanted: Wanted): Held[] =>
  leases.filter((lease) => !isWanted(lease, wanted));

/** Answers the names of those that could not be given back now. */
async function giveBack({ peers, ask, log }: LeaseReturnContext, due: readonly Held[]): Promise<ReadonlySet<string>> {
  const kept = new Set<string>();
  for (const lease of due) {
    const { pool, container, interface: name } = lease;
    const answer = await ask(() => peers.ipam.release({ pool, container, interface: name }));
    if (answer.ok) continue;
    kept.add(leaseName(lease));
    log.warn(`the lease of ${container} in pool ${pool} could not be given back: ${answer.error.reason}`);
  }
  return kept;
}

function tellNew(before: HoldTimes, held: readonly Held[], wanted: Wanted, holdMs: number, log: Logger): void {
  const hours = Number((holdMs / 3_600_000).toFixed(2));
  const lines = held
    .filter((lease) => !before.has(leaseName(lease)))
    .map(({ container, pool, interface: name }) =>
      wanted.containers.has(container)
        ? `container ${container} has no ${name} in pool ${pool} any more: its lease is given back in ${hours} h`
        : `no revision has container ${container} any more: its leases are given back in ${hours} h`,
    );
  for (const line of new Set(lines)) log.info(line);
}
