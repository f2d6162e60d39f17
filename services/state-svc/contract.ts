// state-svc: the revision. Decides what should run and drives it there through ipam-svc, net-svc and lxc-svc.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';
import { containerAction, containerRow, groupRow } from '../../shared/schema/api.ts';
import { driverRow } from '../../shared/schema/drivers.ts';
import { healthRequest } from '../../shared/schema/health.ts';
import { metadataKey, metadataKind, metadataValue } from '../../shared/schema/metadata.ts';
import { containerName, poolName, revisionName, sha256 } from '../../shared/schema/names.ts';
import { commandOp, objectRow, stepProgress, stepRow, uploadId } from '../../shared/schema/steps.ts';

/** A page of a list in alphabetical order begins behind this name. */
const pageParams = z.strictObject({ after: z.optional(z.string()) });
const bytes = z.int().check(z.minimum(0));
const noSpace = z.strictObject({ requiredBytes: bytes, availableBytes: bytes });
const noSuchUpload = z.strictObject({});
const noSuchStep = z.strictObject({ name: z.string() });
/** `reason` is for people. */
const storeFailed = z.strictObject({ reason: z.string() });

const overrides = z.array(z.strictObject({ key: z.string(), value: z.string() }));

const keptByBerth = { KEPT_BY_BERTH: z.strictObject({}) };
const writeFailed = { WRITE_FAILED: z.strictObject({ full: z.boolean(), reason: z.string() }) };

export const stateContract = defineContract({
  service: 'state-svc',
  job: 'Owns the revision: verifies it, decides what should run, and drives groups to their status goals.',
  privileges: {
    user: 'berth-state',
    capabilities: [],
    reasons: {},
    noNewPrivileges: true,
    umask: 0o022,
    permissionModel: { workers: true },
  },
  files: {
    owns: ['<storage>/boot', '<storage>/trails', '<storage>/objects', '<storage>/cache', '<rundir>/meta'],
    ownsOrReads: ['<storage>/boot'],
    // For sysinfo and interfaces of device-meta, and bridges that a revision lacks; and whom to trust for signatures, which is no secret, so nobody needs to hand it over.
    reads: [
      '/proc/meminfo',
      '/proc/loadavg',
      '/proc/device-tree/model',
      '/proc/net/route',
      '/proc/net/fib_trie',
      '/sys/class/net',
      '<trust>',
      '<truststore>',
    ],
    writes: [],
    // Uploads: ctl-svc writes into files that are made here.
    shared: [{ path: '<storage>/objects/incoming', with: 'berth-ctl' }],
  },
  watch: { readyMs: 10_000, beatMs: 1_000, missedBeats: 3 },
  requests: {
    /** In alphabetical order; `next`: ask again with it as `after` for what follows. */
    listContainers: {
      callers: ['ctl-svc'],
      params: z.strictObject({ after: z.optional(z.string()) }),
      result: z.strictObject({ containers: z.array(containerRow), next: z.optional(z.string()) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** In start order, page by page as listContainers; from the beginning after a group that is not there any more. */
    listGroups: {
      callers: ['ctl-svc'],
      params: z.strictObject({ after: z.optional(z.string()) }),
      result: z.strictObject({ groups: z.array(groupRow), next: z.optional(z.string()) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** Answers as soon as the action is accepted; what comes of it is told by events. */
    controlContainer: {
      callers: ['ctl-svc'],
      params: z.strictObject({ container: z.string(), action: containerAction }),
      result: z.strictObject({}),
      errors: {
        CONTAINER_NOT_FOUND: z.strictObject({}),
        POLICY_SYSTEM: z.strictObject({}),
        NOT_ALLOWED: z.strictObject({ status: z.string(), reason: z.string() }),
      },
      idempotent: false,
      deadlineMs: 5_000,
    },
    /** The container sent its READY signal. */
    signalReady: {
      callers: ['ctl-svc'],
      params: z.strictObject({ container: containerName }),
      result: z.strictObject({}),
      errors: { SIGNAL_UNEXPECTED: z.strictObject({}) },
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** A page of the object store, in the order of their names. */
    listObjects: {
      callers: ['ctl-svc'],
      params: pageParams,
      result: z.strictObject({ objects: z.array(objectRow), next: z.optional(z.string()) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /**
     * An empty file for somebody else to write into and to hash while it does. `sha256`: what its content must have, absent for the
     * JSON of a step. `bytes`: how many will come, as far as that is known. Room is made before it is said that there is none. `id`: the
     * asker's choice, by chance, so that it can abandon also what has begun and was answered too late.
     */
    beginUpload: {
      callers: ['ctl-svc'],
      params: z.strictObject({ id: uploadId, sha256: z.optional(sha256), bytes: z.optional(bytes) }),
      result: z.discriminatedUnion('kind', [
        /** The object is in the store, and not known to be damaged: nothing needs to come. */
        z.strictObject({ kind: z.literal('present'), bytes }),
        /** At most `roomBytes` may be written to `path`; then it is finished, put as a step, or abandoned. */
        z.strictObject({ kind: z.literal('upload'), path: z.string(), roomBytes: bytes }),
      ]),
      errors: { NO_SPACE: noSpace, TOO_MANY_UPLOADS: z.strictObject({ limit: z.int() }), STORE_FAILED: storeFailed },
      idempotent: false,
      deadlineMs: 30_000,
    },
    /** All bytes are written and have the sha256: on disk and in the store when answered. */
    finishUpload: {
      callers: ['ctl-svc'],
      params: z.strictObject({ id: uploadId }),
      result: z.strictObject({}),
      errors: { NO_SUCH_UPLOAD: noSuchUpload, NO_SPACE: noSpace, STORE_FAILED: storeFailed },
      idempotent: false,
      deadlineMs: 30_000,
    },
    /** Its file is removed. Unknown: a no-op. */
    abandonUpload: {
      callers: ['ctl-svc'],
      params: z.strictObject({ id: uploadId }),
      result: z.strictObject({}),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** ctl-svc starts: nobody writes any more into what was begun before. */
    forgetUploads: {
      callers: ['ctl-svc'],
      params: z.strictObject({}),
      result: z.strictObject({}),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /**
     * The uploaded JSON becomes revision `name`, NEW. It is checked whole first, objects hashed that were not since this service began, and those
     * that it names and that are being uploaded waited for; nothing is kept of one that fails. The upload is gone in any case.
     */
    putStep: {
      callers: ['ctl-svc'],
      params: z.strictObject({ name: z.string(), id: uploadId }),
      result: z.strictObject({}),
      errors: {
        NO_SUCH_UPLOAD: noSuchUpload,
        /** Not `locals/<name>`, or no legal name. */
        BAD_STEP_NAME: z.strictObject({ reason: z.string() }),
        /** `text`: all of it on one line; `problems`: as many as fit. */
        STATE_INVALID: z.strictObject({
          text: z.string(),
          problems: z.array(z.strictObject({ path: z.string(), code: z.string(), message: z.string() })),
        }),
        /** Another state has this name, and it runs, is tried, or is the one to roll back to. */
        STEP_IN_USE: z.strictObject({ reason: z.string() }),
        NO_SPACE: noSpace,
        STORE_FAILED: storeFailed,
      },
      idempotent: false,
      deadlineMs: 300_000,
    },
    /** A page of the revisions that are here, in alphabetical order. `current`: the one that runs. */
    listSteps: {
      callers: ['ctl-svc'],
      params: pageParams,
      result: z.strictObject({ steps: z.array(stepRow), current: z.string(), next: z.optional(z.string()) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** `name` may be `current`. The state itself is <storage>/trails/<revision>/.pvr/json. */
    stepProgress: {
      callers: ['ctl-svc'],
      params: z.strictObject({ name: z.string() }),
      result: z.strictObject({ revision: revisionName, progress: stepProgress }),
      errors: { NO_SUCH_STEP: noSuchStep },
      idempotent: true,
      deadlineMs: 5_000,
    },
    setCommitMessage: {
      callers: ['ctl-svc'],
      params: z.strictObject({ name: z.string(), message: z.string() }),
      result: z.strictObject({}),
      errors: {
        NO_SUCH_STEP: noSuchStep,
        TOO_LONG: z.strictObject({ bytes, maxBytes: bytes }),
        STORE_FAILED: storeFailed,
      },
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** Answered when it is accepted; what comes of it is told by events and in the step's progress. */
    runCommand: {
      callers: ['ctl-svc'],
      params: z.strictObject({ op: commandOp, payload: z.string() }),
      result: z.strictObject({}),
      errors: {
        /** One at a time. `doing` is for people. */
        BUSY: z.strictObject({ doing: z.string(), retryAfterSeconds: z.int() }),
        NO_SUCH_STEP: noSuchStep,
        BAD_PAYLOAD: z.strictObject({ reason: z.string() }),
        /** This build cannot do it, its configuration forbids it, or it makes no sense now. */
        UNSUPPORTED: z.strictObject({ reason: z.string() }),
        STORE_FAILED: storeFailed,
      },
      idempotent: false,
      deadlineMs: 10_000,
    },
    /** Removes what neither runs, is tried, nor is needed for a rollback, and objects that no revision has, also those that came just now. */
    collectGarbage: {
      callers: ['ctl-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ reclaimedBytes: bytes }),
      errors: { STORE_FAILED: storeFailed },
      idempotent: true,
      deadlineMs: 60_000,
    },
    /** Before a poweroff: stops every container in reverse group order and takes the network of the pools away. Goes on past errors, reports them all. */
    stopAll: {
      callers: ['supervisor'],
      params: z.strictObject({}),
      result: z.strictObject({}),
      errors: { STOP_INCOMPLETE: z.strictObject({ reasons: z.array(z.string()) }) },
      idempotent: true,
      deadlineMs: 60_000,
    },
    /** What user-meta says about the configuration: keys that allow it, with values that can be used. */
    listOverrides: {
      callers: ['ctl-svc', 'log-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ overrides }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** In the order of the keys; `next`: there is more after that key. */
    listMetadata: {
      callers: ['ctl-svc'],
      params: z.strictObject({ kind: metadataKind, after: z.optional(metadataKey) }),
      result: z.strictObject({
        entries: z.array(z.strictObject({ key: metadataKey, value: z.string() })),
        next: z.optional(metadataKey),
      }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** Answers when it is on disk. */
    setMetadata: {
      callers: ['ctl-svc'],
      params: z.strictObject({ kind: metadataKind, key: metadataKey, value: metadataValue }),
      result: z.strictObject({}),
      errors: {
        ...keptByBerth,
        ...writeFailed,
        LIMIT_REACHED: z.strictObject({ what: z.enum(['keys', 'bytes']), limit: z.int() }),
      },
      idempotent: true,
      deadlineMs: 5_000,
    },
    deleteMetadata: {
      callers: ['ctl-svc'],
      params: z.strictObject({ kind: metadataKind, key: metadataKey }),
      result: z.strictObject({}),
      errors: { ...keptByBerth, ...writeFailed, KEY_NOT_FOUND: z.strictObject({}) },
      idempotent: false,
      deadlineMs: 5_000,
    },
    /** Those that the container names, or all for the host; page by page as listGroups. */
    listDrivers: {
      callers: ['ctl-svc'],
      params: z.strictObject({ container: z.optional(containerName), after: z.optional(z.string()) }),
      result: z.strictObject({ drivers: z.array(driverRow), next: z.optional(z.string()) }),
      errors: { NOT_NOW: storeFailed },
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** The container's manual drivers, or one of them; for the host those of all containers, or any one of the board. */
    setDrivers: {
      callers: ['ctl-svc'],
      params: z.strictObject({
        action: z.enum(['load', 'unload']),
        container: z.optional(containerName),
        driver: z.optional(z.string()),
      }),
      result: z.strictObject({}),
      errors: {
        DRIVER_NOT_FOUND: z.strictObject({}),
        /** `reason`: modprobe's own words. */
        MODPROBE_FAILED: z.strictObject({ driver: z.string(), module: z.string(), reason: z.string() }),
        NOT_NOW: storeFailed,
      },
      idempotent: true,
      deadlineMs: 30_000,
    },
    /**
     * Gives back all leases that a container has in a pool, for good. Only while it is stopped, or in no revision that runs: an address
     * in use would go to somebody else.
     */
    releaseLeases: {
      callers: ['ctl-svc'],
      params: z.strictObject({ pool: poolName, container: containerName }),
      result: z.strictObject({ released: z.int() }),
      errors: {
        NO_LEASE: z.strictObject({}),
        NOT_STOPPED: z.strictObject({ status: z.string() }),
        RELEASE_FAILED: storeFailed,
      },
      idempotent: false,
      deadlineMs: 30_000,
    },
    health: healthRequest,
  },
  events: {
    /** The whole row of a container that changed. */
    containerChanged: { subscribers: ['ctl-svc'], payload: z.strictObject({ container: containerRow }) },
    groupChanged: { subscribers: ['ctl-svc'], payload: z.strictObject({ group: groupRow }) },
    /** A key was set or deleted; who needs the value asks for it. */
    metadataChanged: {
      subscribers: ['ctl-svc'],
      payload: z.strictObject({ kind: metadataKind, key: metadataKey }),
    },
    /** All of them. */
    overridesChanged: { subscribers: ['log-svc'], payload: z.strictObject({ overrides }) },
    /** Another set of containers or groups: take both lists anew. */
    revisionChanged: { subscribers: ['ctl-svc'], payload: z.strictObject({ revision: z.string() }) },
    /** The progress of an update, whenever it changes. Without `logs`. */
    updateProgressed: {
      subscribers: ['ctl-svc'],
      payload: z.strictObject({ revision: revisionName, progress: stepProgress }),
    },
  },
});
