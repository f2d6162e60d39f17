// ipam-svc as a process: opens the lease journal and answers requests.
import { join } from 'node:path';
import { runService } from '../../shared/service/run-service.ts';
import { ipamContract } from './contract.ts';
import { createHandlers, type LeaseListener } from './handlers.ts';
import { withCopy } from './journal-copy.ts';
import { createJournalDisk } from './journal-disk.ts';
import { openLeaseStore } from './lease-store.ts';

void runService(ipamContract, 'ipam', async ({ channel, launch, log }) => {
  const disk = createJournalDisk(join(launch.storage, 'ipam'));
  const store = await openLeaseStore(withCopy(disk, join(launch.rundir, 'ipam'), log), log);
  const listener = {
    allocated: (lease) => channel.publish(ipamContract, 'leaseAllocated', lease),
    released: (lease) => channel.publish(ipamContract, 'leaseReleased', lease),
  } satisfies LeaseListener;
  channel.serve(ipamContract, createHandlers({ store, log, now: Date.now, listener }));
  return store.close;
});
