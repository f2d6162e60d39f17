// The guard of senders alone, with what is attached as the test says, on the real nft of a namespace.
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { SenderGuard } from '../../services/net-svc/sender-guard.ts';
import { comparableTable, senderElements, senderTable } from '../../services/net-svc/sender-rules.ts';
import type { Lease } from '../../shared/schema/network.ts';
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

describe('an nft that knows no bytes of a packet', () => {
  it('holds containers to their addresses of IPv4, and is asked for no more', async () => {
    run(['nft', 'flush', 'ruleset']);
    const [nft = ''] = run(['which', 'nft']).split('\n');
    const [real, old] = ['/run/nft-real', '/run/nft-old'];
    copyFileSync(nft, real);
    // As nft 1.0.2 says it.
    const refusal = 'Error: can not use variable sized data types (integer) in concat expressions';
    const script = `#!/bin/sh
[ "$1" = -f ] || exec ${real} "$@"
input=$(cat)
case $input in *typeof*) echo '${refusal}' >&2; exit 1;; esac
echo "$input" | ${real} -f -
`;
    writeFileSync(old, script, { mode: 0o755 });
    run(['mount', '--bind', old, nft]);
    try {
      const late = open();
      await late.ensure();
      const ofIpv4 = (...leases: (readonly Lease[])[]): string =>
        comparableTable(
          senderTable(
            leases.flatMap((own) => senderElements(own, () => true)),
            'ipv4',
          ),
        );
      assert.equal(table(), ofIpv4(db));
      await late.admit(web);
      assert.equal(table(), ofIpv4(db, web));
      await late.forget([web], []);
      assert.equal(table(), ofIpv4(db));
      const repaired: string[] = [];
      await late.ensure((step) => repaired.push(step));
      assert.deepEqual(repaired, []);
    } finally {
      run(['umount', nft]);
    }
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
