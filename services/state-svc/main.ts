// state-svc as a process: wiring only.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runService } from '../../shared/service/run-service.ts';
import { createChecksums } from './checksum-pool.ts';
import { systemClock } from './clock.ts';
import { stateContract } from './contract.ts';
import { createOwnMetadata } from './device-readings.ts';
import { createHandlers } from './handlers.ts';
import { openIntents } from './intent-store.ts';
import { openLeaseHolds } from './lease-hold-store.ts';
import { createLiveSettings } from './live-settings.ts';
import { openMetadata } from './metadata.ts';
import { overrideRows } from './metadata-handlers.ts';
import { openMetadataViews } from './metadata-views.ts';
import { openDesk } from './open-desk.ts';
import { type RevisionRunner, runRevision } from './revision-runner.ts';
import { openRevisionStore } from './revision-store.ts';

void runService(stateContract, 'state', async ({ channel, launch, log }) => {
  // The bundle is CommonJS, and the worker's bundle lies beside it.
  const checksums = createChecksums(join(__dirname, 'checksum-worker.js'));
  const store = openRevisionStore(launch.storage, checksums);
  let runner: RevisionRunner | undefined;
  const cache = join(launch.storage, 'cache');
  const own = createOwnMetadata({
    storage: cache,
    reservedPercent: () => settings.value('PV_STORAGE_GC_RESERVED'),
    standing: () => runner?.standing(),
  });
  const metadata = await openMetadata(cache, own, log);
  const settings = createLiveSettings(launch.settings ?? [], metadata, log);
  settings.onChange(() => channel.publish(stateContract, 'overridesChanged', { overrides: overrideRows(settings) }));
  metadata.onChange((kind, key) => channel.publish(stateContract, 'metadataChanged', { kind, key }));
  const views = openMetadataViews({
    ...{ folder: join(launch.rundir, 'meta'), metadata, clock: systemClock, log },
    intervalMs: () => Math.max(1, settings.value('PH_METADATA_DEVMETA_INTERVAL')) * 1000,
  });
  const running = await runRevision({
    channel,
    log,
    clock: systemClock,
    store,
    intents: await openIntents(join(cache, 'containers.json'), log),
    meta: (kind, key) => (kind === 'user' ? metadata.user(key) : metadata.entries('device').get(key)),
    leaseHolds: openLeaseHolds(join(cache, 'lease-holds.json'), log),
    views,
    leaseHoldMs: settings.value('BERTH_LEASE_HOLD') * 1000,
    // Mounting and starting waits for the kernel more than it computes: two at a time also on one core.
    startLimit: Math.max(2, availableParallelism()),
  });
  runner = running;
  const desk = await openDesk({
    ...{ storage: launch.storage, store, log },
    reservedPercent: () => settings.value('PV_STORAGE_GC_RESERVED'),
    usedFor: (name) => (name === running.revision ? 'is running' : undefined),
  });
  channel.serve(stateContract, createHandlers(running, desk, metadata, settings, systemClock));
  return async () => {
    views.close();
    await running.close();
    await checksums.close();
  };
});
