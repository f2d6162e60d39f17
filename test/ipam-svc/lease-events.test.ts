// What ipam-svc tells of leases: each change once, and only what is on disk.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createHandlers, type LeaseListener } from '../../services/ipam-svc/handlers.ts';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { INTERNAL, reserve, withFolder } from './kit.ts';

describe('ipam events', () => {
  it('tell of a lease that is given, moved or returned, not of one that is asked for again', () =>
    withFolder(async (folder) => {
      const store = await openLeaseStore(createJournalDisk(folder), silentLogger);
      const told: string[] = [];
      const listener: LeaseListener = {
        allocated: ({ container, address, mac, atMs }) => told.push(`+ ${container} ${address} ${mac} ${atMs}`),
        released: ({ container, address, atMs }) => told.push(`- ${container} ${address} ${atMs}`),
      };
      const handlers = createHandlers({ store, log: silentLogger, now: () => 7, listener });
      const context = { caller: 'state-svc', signal: new AbortController().signal } as const;
      const allocate = () =>
        handlers.allocate({ container: 'a', interfaces: [{ interface: 'eth0', pool: 'internal' }] }, context);
      const release = () => handlers.release({ pool: 'internal', container: 'a', interface: 'eth0' }, context);
      await handlers.configure({ pools: [INTERNAL], reservations: [] }, context);
      await allocate();
      await allocate();
      await handlers.configure({ pools: [INTERNAL], reservations: [reserve(INTERNAL, 'a', '10.0.5.9')] }, context);
      await allocate();
      await release();
      await release();
      await store.close();
      assert.deepEqual(told, [
        '+ a 10.0.5.2 02:00:0a:00:05:02 7',
        '+ a 10.0.5.9 02:00:0a:00:05:09 7',
        '- a 10.0.5.9 7',
      ]);
    }));
});
