// state-svc as a process: wiring only.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { settingsOf, writtenOf } from '../../shared/config/launched-settings.ts';
import { runService } from '../../shared/service/run-service.ts';
import { trustPlaces } from '../../shared/service/trust-places.ts';
import { ipamContract } from '../ipam-svc/contract.ts';
import { supervisorContract } from '../supervisor/contract.ts';
import { openBootStore } from './boot-store.ts';
import { createChecksums } from './checksum-pool.ts';
import { systemClock } from './clock.ts';
import { createCommands } from './commands.ts';
import { stateContract } from './contract.ts';
import { createOwnMetadata } from './device-readings.ts';
import { createHandlers } from './handlers.ts';
import { openIntents } from './intent-store.ts';
import { openKnownChecksums } from './known-checksums.ts';
import { openLeaseHolds } from './lease-hold-store.ts';
import { createLiveSettings } from './live-settings.ts';
import { openMetadata } from './metadata.ts';
import { metadataFolders } from './metadata-folders.ts';
import { overrideRows } from './metadata-handlers.ts';
import { openMetadataViews } from './metadata-views.ts';
import { openDesk } from './open-desk.ts';
import { openGarbage } from './open-garbage.ts';
import { startLimit } from './order.ts';
import { createOwnership } from './ownership.ts';
import { type RevisionRunner, runRevision } from './revision-runner.ts';
import { openRevisionStore } from './revision-store.ts';
import { createSignatureCheck } from './signature-check.ts';
import { openStepStore } from './step-store.ts';
import { openTrustStore } from './trust-store.ts';

void runService(stateContract, 'state', async ({ channel, launch, log }) => {
  // The bundle is CommonJS, and the worker's bundle lies beside it.
  const checksums = createChecksums(join(__dirname, 'checksum-worker.js'), log);
  const configured = settingsOf(launch);
  const cache = join(launch.storage, 'cache');
  const supervisor = channel.client(supervisorContract);
  const ownership = createOwnership({ uid: process.getuid?.() ?? 0, give: () => supervisor.giveStorage({}), log });
  const remembers = configured.value('BERTH_CHECKSUM_CACHE');
  const store = openRevisionStore(launch.storage, checksums, {
    known: remembers ? openKnownChecksums(join(cache, 'checksums.json'), checksums, log) : undefined,
    rehash: configured.value('PV_SECUREBOOT_CHECKSUM'),
    ownership,
    signatures: createSignatureCheck({
      mode: configured.value('PV_SECUREBOOT_MODE'),
      log,
      nowMs: Date.now,
      trust: openTrustStore(trustPlaces(configured)),
    }),
  });
  const steps = openStepStore(launch.storage, log, ownership);
  await steps.open();
  let runner: RevisionRunner | undefined;
  const own = createOwnMetadata({
    storage: cache,
    reservedPercent: () => settings.value('PV_STORAGE_GC_RESERVED'),
    revisionStatus: () => runner?.revisionStatus() ?? { revision: undefined, status: undefined },
  });
  const metadata = openMetadata(cache, own, log, metadataFolders(launch.storage, configured, log));
  const settings = createLiveSettings(writtenOf(launch), metadata, log);
  settings.onChange(() => channel.publish(stateContract, 'overridesChanged', { overrides: overrideRows(settings) }));
  metadata.onChange((kind, key) => channel.publish(stateContract, 'metadataChanged', { kind, key }));
  const views = openMetadataViews({
    folder: join(launch.rundir, 'meta'),
    metadata,
    clock: systemClock,
    log,
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
    startLimit: startLimit(availableParallelism()),
    bootStore: openBootStore(launch.storage, steps, log),
    steps,
    trial: {
      get commitDelayMs() {
        return settings.value('PV_UPDATER_COMMIT_DELAY') * 1000;
      },
      get goalsTimeoutMs() {
        return settings.value('PV_UPDATER_GOALS_TIMEOUT') * 1000;
      },
    },
    life: launch.life ?? '',
    nothingRuns: launch.nothingRuns === true,
  });
  runner = running;
  const reservedPercent = () => settings.value('PV_STORAGE_GC_RESERVED');
  const desk = await openDesk({
    storage: launch.storage,
    store,
    steps,
    ownership,
    clock: systemClock,
    log,
    reservedPercent,
    usedFor: (name) => running.updates.usedFor(name),
    makeRoom: () => garbage.makeRoom(),
  });
  const garbage = openGarbage({
    desk,
    clock: systemClock,
    log,
    storage: launch.storage,
    reservedPercent,
    needed: () => running.updates.needed(),
    settings: () => ({
      keepFactory: settings.value('PV_STORAGE_GC_KEEP_FACTORY'),
      deferMs: settings.value('PV_STORAGE_GC_THRESHOLD_DEFERTIME') * 1000,
      thresholdPercent: settings.value('PV_STORAGE_GC_THRESHOLD'),
    }),
  });
  void running.settled.then(() => garbage.watch());
  const commands = createCommands({
    updates: running.updates,
    reboots: running.reboots,
    settled: running.settled,
    steps,
    clock: systemClock,
    log,
    current: () => running.revision,
    collectGarbage: garbage.collect,
  });
  const ipam = channel.client(ipamContract);
  channel.serve(
    stateContract,
    createHandlers({ runner: running, desk, garbage, metadata, settings, commands, ipam, clock: systemClock }),
  );
  return async () => {
    views.close();
    garbage.close();
    await running.close();
    await checksums.close();
  };
});
