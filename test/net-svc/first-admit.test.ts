// The first container that is attached after a start of net-svc, which knows nothing of the rules of the one before it. A file of its own: one process
// has one port of netlink, which no guard here has used before.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createSenderGuard, type SenderGuard } from '../../services/net-svc/sender-guard.ts';
import { comparableTable, senderElements, senderTable } from '../../services/net-svc/sender-rules.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { internal, leaseOf, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const web = [leaseOf(internal, 'web', 2)];
const db = [leaseOf(internal, 'db', 3)];
let attached: Map<string, readonly Lease[]>;

const table = (): string => comparableTable(run(['nft', '-s', 'list', 'table', 'bridge', 'berth']));
const tableOf = (...leases: (readonly Lease[])[]): string =>
  comparableTable(senderTable(leases.flatMap((own) => senderElements(own, () => true))));

/** As one does that starts: it knows nothing of the table yet. */
const open = (): SenderGuard =>
  createSenderGuard({
    log: silentLogger,
    notePath: '/run/.senders',
    isWanted: true,
    hasBridges: () => true,
    isMacvlan: () => false,
    leases: () => [...attached.values()],
    retryMs: 20,
  });

beforeEach(async () => {
  attached = new Map([['db', db]]);
  await open().ensure();
});
afterEach(() => run(['nft', 'flush', 'ruleset']));

describe('the first container that is attached after a start', () => {
  it('is looked at from the first on where there is no table', async () => {
    run(['nft', 'flush', 'ruleset']);
    await open().admit(web);
    assert.equal(table(), tableOf(db, web));
  });

  it('finds a table that is right, whoever was attached before', async () => {
    attached = new Map([['api', [leaseOf(internal, 'api', 4)]]]);
    await open().admit(web);
    assert.equal(table(), tableOf(web, ...attached.values()));
  });

  it('changes nothing of a table that has it already', async () => {
    attached.set('web', web);
    await open().ensure();
    // A table that is made anew has another handle.
    const list = (): string => run(['nft', '-a', 'list', 'table', 'bridge', 'berth']);
    const before = list();
    await open().admit(web);
    assert.equal(list(), before);
  });
});
