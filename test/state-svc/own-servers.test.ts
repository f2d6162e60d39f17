// Which name servers in the way of a pool are containers of the revision.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ipamContract } from '../../services/ipam-svc/contract.ts';
import { ownServers } from '../../services/state-svc/own-servers.ts';
import { ok, type Result } from '../../shared/ipc/contract.ts';

type Page = Result<(typeof ipamContract)['requests']['listLeases']>;
type Row = Page['leases'][number];

const row = (address: string, given: Partial<Row> = {}): Row => ({
  pool: 'internal',
  container: 'dns',
  interface: 'eth0',
  address,
  mac: '02:00:0a:00:05:02',
  state: 'leased',
  sinceMs: 0,
  ...given,
});
const ROWS = [
  row('10.0.5.2'),
  row('10.0.5.3', { state: 'released' }),
  row('10.0.5.4', { pool: 'former' }),
  row('10.0.5.5', { container: 'gone' }),
  row('10.0.5.6', { container: 'web' }),
];

describe('state.own-servers', () => {
  const of = async (...servers: readonly (string | undefined)[]): Promise<readonly string[]> => {
    const asked: (string | undefined)[] = [];
    const listLeases = async ({ after }: { readonly after?: string | undefined }) => {
      asked.push(after);
      const at = Number(after ?? 0);
      return ok<Page>({ leases: ROWS.slice(at, at + 2), next: at + 2 < ROWS.length ? String(at + 2) : undefined });
    };
    const fixed = {
      pool: 'internal',
      container: 'ntp',
      interface: 'eth0',
      address: '10.0.5.9',
      kind: 'static',
    } as const;
    const found = await ownServers(
      servers.map((server) => ({ pool: 'internal', subnet: '10.0.5.0/24', with: 'it', server })),
      { reservations: [fixed], containers: [{ name: 'dns' }, { name: 'web' }] as never },
      { ipam: { listLeases } } as never,
      (call) => call(),
    );
    assert.deepEqual(asked, servers.some(Boolean) ? [undefined, '2', '4'] : [], 'all pages, or nobody');
    return found;
  };

  it('are those with an address that one of them has leased in that pool, or fixed', async () => {
    assert.deepEqual(await of(...ROWS.map(({ address }) => address), '10.0.5.9'), ['10.0.5.2', '10.0.5.6', '10.0.5.9']);
  });

  it('are none where no name server is in the way, and nobody is asked', async () => {
    assert.deepEqual(await of(undefined), []);
  });
});
