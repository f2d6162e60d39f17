// The host's side of net-svc where nobody else is: no pool is in the way of anything, no chain drops, nothing is lent.
import type { BridgeNotes } from '../../services/net-svc/bridges.ts';
import { createHostNetwork, type HostNetwork, type HostParts } from '../../services/net-svc/host-network.ts';
import type { LentAddresses } from '../../services/net-svc/lent-addresses.ts';
import type { Nat } from '../../services/net-svc/nat.ts';
import { RULES_RETRY_MS } from '../../services/net-svc/rules-retry.ts';
import type { SenderGuard } from '../../services/net-svc/sender-guard.ts';
import { silentLogger } from '../../shared/log/logger.ts';

const nothing = (): undefined => undefined;

export const NONE_LENT: LentAddresses = { list: () => [], add: nothing, drop: nothing };
export const NO_NOTES: BridgeNotes = {
  lent: NONE_LENT,
  others: { has: () => false, add: nothing, keep: nothing },
  marked: { lostBy: nothing, keep: nothing, drop: nothing },
};

/** Containers may send from any address. */
export const NO_GUARD: SenderGuard = {
  learnNames: () => undefined,
  ensure: async () => undefined,
  admit: async () => undefined,
  forget: async () => undefined,
};

export function bareHost(nat: Nat, overlaps?: HostParts['overlaps']): HostNetwork {
  return createHostNetwork({
    nat,
    log: silentLogger,
    overlaps: overlaps ?? { inTheWay: () => [], look: nothing, reasons: () => [] },
    awaited: { look: nothing },
    passage: { apply: async () => ({ dropping: [], changed: false, worked: true }) },
    notes: NO_NOTES,
    retryMs: RULES_RETRY_MS,
  });
}
