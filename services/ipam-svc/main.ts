// ipam-svc as a process: opens the lease journal and answers requests.
import { join } from 'node:path';
import { runService } from '../../shared/service/run-service.ts';
import { ipamContract } from './contract.ts';
import { createHandlers } from './handlers.ts';
import { createJournalDisk } from './journal-disk.ts';
import { openLeaseStore } from './lease-store.ts';

void runService(ipamContract, 'ipam', async ({ channel, launch, log }) => {
  const store = await openLeaseStore(createJournalDisk(join(launch.storage, 'ipam')), log);
  channel.serve(ipamContract, createHandlers({ store, log, now: Date.now }));
  return store.close;
});
