// What the tests of the guard of senders share: guards on the real nft of a namespace, with what is attached as the test says.
import { createSenderGuard, type SenderGuard } from '../../services/net-svc/sender-guard.ts';
import { comparableTable, senderElements, senderTable } from '../../services/net-svc/sender-rules.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { internal, leaseOf, run } from './kernel.ts';

export const web = [leaseOf(internal, 'web', 2)];
export const db = [leaseOf(internal, 'db', 3)];
export const attached = new Map<string, readonly Lease[]>();

export const table = (): string => comparableTable(run(['nft', '-s', 'list', 'table', 'bridge', 'berth']));
export const tableOf = (...leases: (readonly Lease[])[]): string =>
  comparableTable(senderTable(leases.flatMap((own) => senderElements(own, () => true))));

/** As one does that starts: it knows nothing of the table yet. */
export const open = (): SenderGuard =>
  createSenderGuard({
    log: silentLogger,
    notePath: '/run/.senders',
    isWanted: true,
    hasBridges: () => true,
    isMacvlan: () => false,
    leases: () => [...attached.values()],
    retryMs: 20,
  });

/** With the table of `db`, which alone is attached. */
export async function openWithDb(): Promise<SenderGuard> {
  attached.clear();
  attached.set('db', db);
  const guard = open();
  await guard.ensure();
  return guard;
}
