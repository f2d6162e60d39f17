// supervisor: starts, watches and restarts the services, routes their messages, and holds the sockets of containers.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';
import { healthRequest } from '../../shared/schema/health.ts';
import { containerName, epochMs } from '../../shared/schema/names.ts';

const inheritedFd = z.int().check(z.minimum(3));

const controlSocket = z.strictObject({
  container: containerName,
  /** The descriptor under which ctl-svc inherited this listening socket. */
  fd: inheritedFd,
});

/** The descriptors under which log-svc inherited the sockets of a container. */
const logSockets = z.strictObject({
  container: containerName,
  /** Datagrams: /dev/log. */
  devLog: inheritedFd,
  /** Datagrams: pv-ctrl-log. */
  ctrlLog: inheritedFd,
  /** Listening: pv-fd-log. */
  fdLog: inheritedFd,
});
export type LogSockets = z.output<typeof logSockets>;

export const supervisorContract = defineContract({
  service: 'supervisor',
  job: 'Starts, watches and restarts the services, routes their messages, and holds the sockets of containers.',
  privileges: {
    user: 'root',
    capabilities: ['all'],
    reasons: { all: 'it starts every other service with exactly what that one needs' },
    noNewPrivileges: false,
    umask: 0o022,
    permissionModel: undefined,
  },
  files: { owns: ['<rundir>', '<storage>/supervisor'], reads: [], writes: ['<storage>'] },
  watch: { readyMs: 10_000, beatMs: 1_000, missedBeats: 3 },
  requests: {
    /** A row per service, always in the same order. */
    listServices: {
      callers: ['ctl-svc'],
      params: z.strictObject({}),
      result: z.strictObject({
        services: z.array(
          z.strictObject({
            name: z.string(),
            /** 0 while it is down. */
            pid: z.int(),
            uid: z.int(),
            capabilities: z.array(z.string()),
            state: z.enum(['starting', 'ready', 'backoff', 'stopped']),
            /** False after an operator stopped it: it stays down until it is started. */
            respawn: z.boolean(),
            restarts: z.int(),
            /** Why it was last restarted, e.g. `killed by SIGKILL`, `missed 6 heartbeats`; null when it never was. */
            last_exit: z.nullable(z.strictObject({ reason: z.string(), last_words: z.string(), at: z.string() })),
            uptime_seconds: z.number(),
            /** Proportional set size, bytes; 0 while it is down. */
            memory_bytes: z.int(),
            /** Requests that wait for it or are with it. */
            queue_depth: z.int(),
          }),
        ),
      }),
      errors: {},
      idempotent: true,
      deadlineMs: 2_000,
    },
    /** For operators. `stop`: it ends and stays down. Answered when that is under way. */
    controlService: {
      callers: ['ctl-svc'],
      params: z.strictObject({ service: z.string(), action: z.enum(['start', 'stop']) }),
      result: z.strictObject({}),
      errors: {
        SERVICE_NOT_FOUND: z.strictObject({}),
        /** Nobody could ask for its start any more. */
        NOT_STOPPABLE: z.strictObject({ reason: z.string() }),
      },
      idempotent: true,
      deadlineMs: 5_000,
    },
    /**
     * Makes a container's sockets in <rundir>/ctl/<container>: pv-ctrl for ctl-svc; dev-log, pv-ctrl-log and pv-fd-log for log-svc.
     * Open already: the same again.
     */
    openSockets: {
      callers: ['lxc-svc'],
      params: z.strictObject({ container: containerName }),
      /** The folder that lxc-svc mounts as /pantavisor into the container. */
      result: z.strictObject({ folder: z.string() }),
      errors: { SOCKET_FAILED: z.strictObject({ reason: z.string() }) },
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** Nobody in the container is served any more. Not open: a no-op. */
    closeSockets: {
      callers: ['lxc-svc'],
      params: z.strictObject({ container: containerName }),
      result: z.strictObject({}),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    listControlSockets: {
      callers: ['ctl-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ sockets: z.array(controlSocket) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    listLogSockets: {
      callers: ['log-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ sockets: z.array(logSockets) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /**
     * Embedded: the machine reboots; appengine: the tree starts over. Bounded: three in a row for the same code, each within ten minutes
     * of the one before (SYSTEM_CONTAINER_DOWN: a day), of those that are `counted`. Not counted are the first ones of what somebody
     * asked for, which cannot follow from each other for ever.
     */
    reboot: {
      callers: ['state-svc'],
      params: z.strictObject({ code: z.string(), message: z.string(), counted: z.boolean() }),
      result: z.strictObject({}),
      errors: {
        REBOOT_LOOP: z.strictObject({}),
        /** What cannot be counted would not be bounded, so that it does not come now. Ask again: the disk may take it then. */
        REBOOT_UNCOUNTED: z.strictObject({ reason: z.string() }),
      },
      idempotent: false,
      deadlineMs: 5_000,
    },
    /**
     * What root, by hand or by a tool of Pantavisor's, has put into the folders of the storage that the caller owns becomes the caller's, as at
     * the start of the tree. What cannot be given stays, and is told in the log.
     */
    giveStorage: {
      callers: ['state-svc'],
      params: z.strictObject({}),
      result: z.strictObject({}),
      errors: {},
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** Embedded: the machine powers off; appengine: the tree ends, containers first. */
    powerOff: {
      callers: ['state-svc'],
      params: z.strictObject({ message: z.string() }),
      result: z.strictObject({}),
      errors: {},
      idempotent: false,
      deadlineMs: 5_000,
    },
    health: healthRequest,
  },
  events: {
    controlSocketOpened: { subscribers: ['ctl-svc'], payload: controlSocket },
    controlSocketClosed: { subscribers: ['ctl-svc'], payload: z.strictObject({ container: containerName }) },
    logSocketsOpened: { subscribers: ['log-svc'], payload: logSockets },
    logSocketsClosed: { subscribers: ['log-svc'], payload: z.strictObject({ container: containerName }) },
    /** A service went up or down. */
    serviceChanged: {
      subscribers: ['ctl-svc'],
      payload: z.strictObject({ service: z.string(), state: z.string(), reason: z.string(), atMs: epochMs }),
    },
  },
});
