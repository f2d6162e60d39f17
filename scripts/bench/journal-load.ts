// A process of its own for the bench: reads the lease journal of a folder as ipam-svc does at its start, and prints the milliseconds.
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { openLeaseStore } from '../../services/ipam-svc/lease-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';

async function load(folder: string): Promise<void> {
  const started = performance.now();
  const store = await openLeaseStore(createJournalDisk(folder), silentLogger);
  console.log(performance.now() - started);
  await store.close();
}

void load(process.argv[2] ?? '.');
