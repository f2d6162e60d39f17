// lxc-svc: mounts, overlays, LXC configuration, start, stop and exits of containers.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';

import { role } from '../../shared/schema/api.ts';

import { deviceRules } from '../../shared/schema/device-rules.ts';
import { board, kernelModule } from '../../shared/schema/drivers.ts';

import { exitStatus } from '../../shared/schema/exit.ts';

import { healthRequest } from '../../shared/schema/health.ts';
import { hookEvent, hookSituation } from '../../shared/schema/hooks.ts';
import { containerLogFile, containerLogSource } from '../../shared/schema/logs.ts';
import { containerName, epochMs, pid, revisionName } from '../../shared/schema/names.ts';
import { containerNetwork } from '../../shared/schema/network.ts';
import { remounts } from '../../shared/schema/remounts.ts';
import { artifactName, baseVolume, disk, insidePath, namedVolume } from '../../shared/schema/storage.ts';

/** `reason`: modprobe's own words. */
const modprobeFailed = z.strictObject({ module: z.string(), reason: z.string() });
const stepFailed = z.strictObject({ step: z.string(), reason: z.string() });
const runningInit = z.strictObject({
  pid,
  /** By the wall clock as it went then: for people. */
  startedMs: epochMs,
  /** How long it has run, by a clock that nobody sets. */
  upMs: z.int().check(z.minimum(0)),
});

export const lxcContract = defineContract({
  service: 'lxc-svc',
  job: 'Mounts, configures, starts and stops LXC containers, and knows how each of them ended.',
  privileges: {
    user: 'root',
    capabilities: [
      'chown',
      'dac_override',
      'dac_read_search',
      'fowner',
      'fsetid',
      'kill',
      'setgid',
      'setuid',
      'setpcap',
      'linux_immutable',
      'net_bind_service',
      'net_broadcast',
      'net_admin',
      'net_raw',
      'ipc_lock',
      'ipc_owner',
      'sys_chroot',
      'sys_ptrace',
      'sys_pacct',
      'sys_admin',
      'sys_boot',
      'sys_nice',
      'sys_resource',
      'sys_tty_config',
      'mknod',
      'lease',
      'audit_write',
      'audit_control',
      'audit_read',
      'setfcap',
      'sys_time',
      'sys_module',
      'sys_rawio',
      'syslog',
      'wake_alarm',
      'block_suspend',
    ],
    reasons: {
      chown: 'files of containers and of the log service',
      dac_override: 'a container’s root writes files of any owner',
      dac_read_search: 'overlay and volumes cross directories of other users',
      fowner: 'as chown: modes of files that others own',
      fsetid: 'setuid programs inside containers keep their bits',
      kill: 'stop a container whose processes run as other users',
      setgid: 'LXC enters containers; their init systems change groups',
      setuid: 'as setgid, for users',
      setpcap: 'LXC drops what lxc.cap.drop lists',
      linux_immutable: 'chattr +i inside containers',
      net_bind_service: 'containers bind ports below 1024',
      net_broadcast: 'programs with file capabilities inside containers that ask for it',
      net_admin: 'containers with an interface of their own configure it; LXC’s legacy networks',
      net_raw: 'ping inside containers',
      ipc_lock: 'containers that lock memory',
      ipc_owner: 'containers that own System V IPC objects of several users',
      sys_chroot: 'pivot_root and chroot',
      sys_ptrace: 'LXC reads /proc/<init>/ns of containers',
      sys_pacct: 'accounting of processes inside containers',
      sys_admin: 'mount, loop devices, namespaces, cgroups',
      sys_boot: 'reboot(2) of a container’s init is how it tells LXC that it halts',
      sys_nice: 'containers that set priorities',
      sys_resource: 'lxc.prlimit and cgroup limits',
      sys_tty_config: 'consoles and vhangup(2)',
      mknod: 'device nodes in /dev of containers',
      lease: 'file servers inside containers take leases (fcntl(2))',
      audit_write: 'PAM inside containers',
      audit_control: 'PAM inside containers sets the login uid',
      audit_read: 'containers that follow the audit log',
      setfcap: 'programs with file capabilities inside containers',
      sys_time: 'containers that set the clock (NTP)',
      sys_module: 'drivers that containers require; platform containers load modules',
      sys_rawio: 'containers that drive a board’s hardware through /dev/mem',
      syslog: 'containers that read the kernel’s log',
      wake_alarm: 'timers inside containers that wake the machine',
      block_suspend: 'programs inside containers that keep the machine awake',
    },
    // Containers inherit the flag and would lose their setuid programs.
    noNewPrivileges: false,
    umask: 0o022,
    permissionModel: undefined,
  },
  files: {
    owns: ['<rundir>/lxc', '<rundir>/exports', '<rundir>/disks'],
    reads: ['<storage>/trails', '<storage>/objects', '<rundir>/netns', '<rundir>/meta'],
    // Mount points for what containers see, and the folders of their logs.
    writes: ['<storage>/disks', '<rundir>/ctl', '<storage>/logs'],
  },
  watch: { readyMs: 10_000, beatMs: 1_000, missedBeats: 6 },
  requests: {
    /**
     * Loop-mounts the squashfs files of <storage>/trails/<revision>/<container>, opens disks and binds volumes, lays the state's
     * _config/<container> and the writable layer over the root, binds exports. Mounted already, just so: untouched.
     */
    mount: {
      callers: ['state-svc'],
      params: z.strictObject({
        container: containerName,
        revision: revisionName,
        rootVolume: artifactName,
        /** The container's LXC configuration, a file of the same folder; without one it can be mounted, and not started. */
        config: z.optional(artifactName),
        /** Further ones, beside the root. */
        squashfs: z.array(artifactName),
        /** Those of other containers of the revision that its root lies over; mounted for this one alone. */
        bases: z.array(baseVolume),
        volumes: z
          .array(namedVolume)
          .check(z.refine((volumes) => volumes.some(({ name }) => name === 'lxc-overlay'), 'with a writable layer')),
        /** Those that volumes name, and swap. */
        disks: z.array(disk),
        /** Paths inside the container. */
        exports: z.array(insidePath),
        /** What of it goes to the log while it runs. */
        logFiles: z.array(containerLogFile).check(z.maxLength(32)),
        /** By which devices of the host appear in its /dev, also while it runs; absent: none but LXC's own. */
        deviceRules: z.optional(deviceRules),
      }),
      result: z.strictObject({ rootfs: z.string() }),
      errors: {
        MOUNT_FAILED: stepFailed,
        CONFIG_INVALID: z.strictObject({ line: z.int(), reason: z.string() }),
      },
      idempotent: true,
      // A disk that is opened for the first time is filled and formatted.
      deadlineMs: 120_000,
    },
    /** Answers when the container's init runs. Running already: its pid, nothing is started. */
    start: {
      callers: ['state-svc'],
      params: z.strictObject({
        container: containerName,
        hostname: z.string().check(z.regex(/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?$/)),
        network: containerNetwork,
        /** Whether there is a /dev/log in it that leads to log-svc; PV_LOG_AUTO_DEVLOG when absent. */
        devLog: z.optional(z.boolean()),
        /** Whether the host's /lib/firmware and /lib/modules/<release> are in it, read-only; they are when absent. */
        automodfw: z.optional(z.boolean()),
        /** Options of its mounts, of all policies, the later ones over the earlier. */
        remounts: z.optional(remounts),
        /** What it sees under /pantavisor follows from them. */
        roles: z.array(role),
      }),
      result: runningInit,
      errors: { NOT_MOUNTED: z.strictObject({}), START_FAILED: stepFailed },
      idempotent: true,
      deadlineMs: 30_000,
    },
    /** Halt signal, then SIGKILL after `graceMs`. Answers when its processes are gone and LXC has let go. Not running: a no-op. */
    stop: {
      callers: ['state-svc'],
      params: z.strictObject({ container: containerName, graceMs: z.int().check(z.minimum(0), z.maximum(600_000)) }),
      result: z.strictObject({ exit: z.optional(exitStatus) }),
      errors: { STOP_FAILED: stepFailed },
      idempotent: true,
      deadlineMs: 30_000,
    },
    /**
     * Takes away all that `mount` made but what is on disk, after a stop that is under way. Goes on past errors, reports them all. Not
     * mounted: a no-op.
     */
    unmount: {
      callers: ['state-svc'],
      params: z.strictObject({ container: containerName }),
      /** `detached`: mounts that stayed busy; they end with their last user. */
      result: z.strictObject({ detached: z.optional(z.array(z.string())) }),
      errors: { UNMOUNT_FAILED: stepFailed, RUNNING: z.strictObject({ pid }) },
      idempotent: true,
      deadlineMs: 30_000,
    },
    /** Why disks cannot be opened on this machine, whatever is on them; those that can, and swap, are not in the answer. */
    checkDisks: {
      callers: ['state-svc'],
      params: z.strictObject({ disks: z.array(disk) }),
      result: z.strictObject({ unavailable: z.array(z.strictObject({ disk: z.string(), reason: z.string() })) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /**
     * What is: read from mounts, LXC and the exit records, not from memory of what was asked. In alphabetical order; `next`: ask
     * again with it as `after` for what follows.
     */
    listContainers: {
      callers: ['state-svc', 'log-svc'],
      params: z.strictObject({ after: z.optional(z.string()) }),
      result: z.strictObject({
        containers: z.array(
          z.strictObject({
            container: containerName,
            revision: revisionName,
            mounted: z.boolean(),
            running: z.optional(runningInit),
            /** Of the last run, when it is over. */
            exit: z.optional(z.strictObject({ pid, status: exitStatus, atMs: epochMs })),
            logs: z.array(z.strictObject({ source: containerLogSource, path: z.string() })),
          }),
        ),
        next: z.optional(z.string()),
      }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** What is mounted for the container, as the machine sees it, in the order of mounting; as many as fit. */
    listMounts: {
      callers: ['ctl-svc'],
      params: z.strictObject({ container: containerName }),
      result: z.strictObject({
        mounts: z.array(z.strictObject({ target: z.string(), type: z.string(), source: z.string() })),
      }),
      errors: {},
      idempotent: true,
      deadlineMs: 2_000,
    },
    /** In this order, those loaded already left as they are. The first that fails ends it; what was loaded until then stays. */
    loadModules: {
      callers: ['state-svc'],
      params: z.strictObject({ modules: z.array(kernelModule).check(z.maxLength(64)) }),
      result: z.strictObject({}),
      errors: { MODPROBE_FAILED: modprobeFailed },
      idempotent: true,
      deadlineMs: 30_000,
    },
    /** The last first. */
    unloadModules: {
      callers: ['state-svc'],
      params: z.strictObject({ modules: z.array(kernelModule.shape.name).check(z.maxLength(64)) }),
      result: z.strictObject({}),
      errors: { MODPROBE_FAILED: modprobeFailed },
      idempotent: true,
      deadlineMs: 30_000,
    },
    /** What the kernel has loaded, with `_` for `-`, and what the board is. */
    listModules: {
      callers: ['state-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ modules: z.array(z.string()), board }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /**
     * Runs the programs of the hook folder in the order of their names, each to its end. The folder is the configuration's: what runs is
     * named by nobody who asks. The first that fails is the last that runs. In a life of the tree `system-start` passes once, and
     * `system-done` once for a revision; the others, and those that a death of this service interrupted, run again when they are asked for
     * again. Whoever stops waiting calls them off.
     */
    runHooks: {
      callers: ['state-svc'],
      params: z.strictObject({ event: hookEvent, ...hookSituation.shape }),
      result: z.strictObject({ ran: z.int() }),
      errors: {
        /** `words`: the last that it said. */
        HOOK_FAILED: z.strictObject({ hook: z.string(), reason: z.string(), words: z.array(z.string()) }),
      },
      idempotent: true,
      // Each hook has its own time; this is the end of patience with all of them.
      deadlineMs: 3_600_000,
    },
    health: healthRequest,
  },
  events: {
    /** Also for containers that an earlier lxc-svc started. At least once per run: (container, pid, atMs) tells repeats apart. */
    containerExited: {
      subscribers: ['state-svc'],
      payload: z.strictObject({ container: containerName, pid, status: exitStatus, atMs: epochMs }),
    },
    /** Its raw log files exist from now on; log-svc follows them. */
    containerMounted: {
      subscribers: ['log-svc'],
      payload: z.strictObject({
        container: containerName,
        revision: revisionName,
        logs: z.array(z.strictObject({ source: containerLogSource, path: z.string() })),
      }),
    },
    /** Nothing will be written to its raw log files any more; they are removed with the container's folder. */
    containerUnmounted: {
      subscribers: ['log-svc'],
      payload: z.strictObject({ container: containerName }),
    },
  },
});
