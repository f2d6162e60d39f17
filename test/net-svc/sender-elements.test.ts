// What the guard of senders tells the kernel by netlink, element by element, without the program nft. One guard for all: its socket has the one
// port that changes of ours are made from.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { before, beforeEach, describe, it } from 'node:test';
import type { SenderGuard } from '../../services/net-svc/sender-guard.ts';
import { comparableTable, senderElements, senderTable } from '../../services/net-svc/sender-rules.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { attached, db, openWithDb, table, tableOf, web } from './guarded.ts';
import { internal, lab, leaseOf, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const ofIpv4 = (...leases: (readonly Lease[])[]): string =>
  senderTable(
    leases.flatMap((own) => senderElements(own, () => true)),
    'ipv4',
  );

describe('elements of containers', () => {
  let guard: SenderGuard;
  before(async () => {
    guard = await openWithDb();
  });
  beforeEach(async () => {
    attached.clear();
    attached.set('db', db);
    await guard.ensure();
  });

  it('come and go with a container', async () => {
    await guard.admit(web);
    assert.equal(table(), tableOf(db, web));
    await guard.forget([web], []);
    assert.equal(table(), tableOf(db));
  });

  it('stay where another one has the same MAC, in another pool', async () => {
    const twin = [{ ...leaseOf(lab, 'twin', 3), mac: db[0]?.mac ?? '' }];
    await guard.admit(twin);
    await guard.forget([twin], []);
    assert.equal(table(), tableOf(db));
  });

  it('come into a table that a build before this one made, which knows nothing of IPv6', () => {
    writeFileSync('/run/before.nft', `flush ruleset\n${ofIpv4(db)}`);
    run(['nft', '-f', '/run/before.nft']);
    attached.set('web', [leaseOf(internal, 'web', 2)]);
    guard.learnNames();
    assert.equal(table(), comparableTable(ofIpv4(db, web)));
  });
});
