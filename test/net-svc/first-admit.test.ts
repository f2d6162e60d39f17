// The first container that is attached after a start of net-svc, which knows nothing of the rules of the one before it. A file of its own: one process
// has one port of netlink, which no guard here has used before.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { attached, db, open, openWithDb, table, tableOf, web } from './guarded.ts';
import { internal, leaseOf, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

beforeEach(openWithDb);
afterEach(() => run(['nft', 'flush', 'ruleset']));

describe('the first container that is attached after a start', () => {
  it('is looked at from the first on where there is no table', async () => {
    run(['nft', 'flush', 'ruleset']);
    await open().admit(web);
    assert.equal(table(), tableOf(db, web));
  });

  it('finds a table that is right, whoever was attached before', async () => {
    attached.delete('db');
    attached.set('api', [leaseOf(internal, 'api', 4)]);
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
