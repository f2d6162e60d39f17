// state-svc as a process: wiring only.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { settingsOf } from '../../shared/service/launch.ts';
import { runService } from '../../shared/service/run-service.ts';
import { createChecksums } from './checksum-pool.ts';
import { systemClock } from './clock.ts';
import { stateContract } from './contract.ts';
import { createHandlers } from './handlers.ts';
import { openIntents } from './intent-store.ts';
import { openLeaseHolds } from './lease-hold-store.ts';
import { openDesk } from './open-desk.ts';
import { runRevision } from './revision-runner.ts';
import { openRevisionStore } from './revision-store.ts';

void runService(stateContract, 'state', async ({ channel, launch, log }) => {
  // The bundle is CommonJS, and the worker's bundle lies beside it.
  const checksums = createChecksums(join(__dirname, 'checksum-worker.js'));
  const store = openRevisionStore(launch.storage, checksums);
  const settings = settingsOf(launch);
  const runner = await runRevision({
    channel,
    log,
    clock: systemClock,
    store,
    intents: await openIntents(join(launch.storage, 'cache/containers.json'), log),
    leaseHolds: openLeaseHolds(join(launch.storage, 'cache/lease-holds.json'), log),
    leaseHoldMs: settings.value('BERTH_LEASE_HOLD') * 1000,
    // Mounting and starting waits for the kernel more than it computes: two at a time also on one core.
    startLimit: Math.max(2, availableParallelism()),
  });
  const desk = await openDesk({
    ...{ storage: launch.storage, store, log },
    reservedPercent: settings.value('PV_STORAGE_GC_RESERVED'),
    usedFor: (name) => (name === runner.revision ? 'is running' : undefined),
  });
  channel.serve(stateContract, createHandlers(runner, desk, systemClock));
  return async () => {
    await runner.close();
    await checksums.close();
  };
});
