// The guard of senders alone, with what is attached as the test says, on the real nft of a namespace.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { SenderGuard } from '../../services/net-svc/sender-guard.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { attached, db, open, openWithDb, table, tableOf, web } from './guarded.ts';
import { internal, leaseOf, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

let guard: SenderGuard;

beforeEach(async () => {
  guard = await openWithDb();
});
afterEach(() => run(['nft', 'flush', 'ruleset']));

describe('a table that could not be made', () => {
  it('is tried again after a while, although nothing changed', async () => {
    run(['nft', 'flush', 'ruleset']);
    const [nft = ''] = run(['which', 'nft']).split('\n');
    run(['mount', '--bind', '/bin/false', nft]);
    try {
      await open().ensure();
    } finally {
      run(['umount', nft]);
    }
    await eventually('the table', PATIENCE_MS, () => run(['nft', 'list', 'tables']) !== '');
    assert.equal(table(), tableOf(db));
  });
});

describe('a container that is being attached', () => {
  it('is looked at from the first on also where the table had to be made anew', async () => {
    run(['nft', 'flush', 'ruleset']);
    await guard.admit(web);
    assert.equal(table(), tableOf(db, web));
    await guard.forget([[], web], []);
    assert.equal(table(), tableOf(db));
  });

  it('has both sets of leases until one is forgotten, where the table had to be made anew', async () => {
    attached.set('web', web);
    await guard.ensure();
    const moved = [leaseOf(internal, 'web', 9)];
    run(['nft', 'flush', 'ruleset']);
    await guard.admit(moved);
    attached.set('web', moved);
    await guard.forget([web, moved], moved);
    assert.equal(table(), tableOf(db, moved));
  });
});
