// What each argument of args.json does, for the table in test/examples/README.md.
import type { ContainerArguments } from './pack-arguments.ts';

export const MEANINGS: Readonly<Record<keyof ContainerArguments, string>> = {
  PV_GROUP: 'the group of device.json that it belongs to',
  PV_RUNLEVEL: 'the older way to name its group: data, root, platform, app',
  PV_STATUS_GOAL:
    'when it counts as up; else its group’s: mounted, started, or once it has said that it is ready. `STAGED` is `MOUNTED` with that as `PV_LIFECYCLE_GOAL`',
  PV_LIFECYCLE_GOAL:
    '`lifecycle_goal` of run.json: counts before the status goal where the device knows it. Berth knows no more than status goals, and warns of `STAGED`',
  PV_RESTART_POLICY: '`container` may be stopped and started alone; `system` may not, and its end is a reboot',
  PV_ROLES: '`mgmt` may use the whole control API; without a role it may do little more than signal',
  PV_AUTO_RECOVERY:
    'what follows its end: `policy`, `max_retries`, `retry_delay`, `backoff_factor` and the like; in the place of its group’s',
  PV_NETWORK_POOL: 'a network of its own, with an address from this pool of device.json',
  PV_NETWORK_HOSTNAME: 'its host name; else the container’s name',
  PV_NETWORK_IP: 'a static address in the pool',
  PV_NETWORK_MAC: 'a static MAC address; else one that follows from its address',
  PV_DRIVERS_REQUIRED: 'drivers of bsp/drivers.json that are loaded before it starts; it does not start without them',
  PV_DRIVERS_OPTIONAL: 'the same, and it starts without them',
  PV_DRIVERS_MANUAL: 'drivers that it loads itself, over `/drivers` of its control socket',
  PV_LOGS:
    'files in it that are part of its log, beside `/var/log/syslog` and `/var/log/messages`: `[{ "file": "/var/log/app.log" }]`; with `"truncate": true` and `"maxsize": BYTES` a file is emptied when it is larger',
  PV_DEV_LOG: 'no: it gets no `/dev/log` of Berth’s, as one with its own syslog daemon wants it',
  PV_LXC_NETWORK_TYPE:
    'the old way of networking: a veth in `lxcbr0`, an interface of the device, no network, or the host’s (also without this argument)',
  PV_LXC_NETWORK_LINK: 'for phys: the interface of the device that it gets',
  PV_LXC_NETWORK_IPV4_ADDRESS: 'its address, the old way',
  PV_LXC_NETWORK_IPV4_GATEWAY: 'its gateway, the old way; else, for veth, the address of the bridge',
  PV_LXC_EXTRA_CONF: 'lines at the end of its LXC configuration, such as `lxc.init.cmd = /sbin/init`',
  PV_LXC_CAP_DROP: 'capabilities that it lacks',
  PV_LXC_CAP_KEEP: 'capabilities that it has, and no other; not beside PV_LXC_CAP_DROP',
  PV_LXC_NAMESPACE_KEEP:
    'namespaces of the host that it shares; else `user net ipc`, and with a baked network `user ipc`',
  PVR_LXC_CGROUP_DEVICES_WHITE: 'devices that it may use, and no other: `["c 1:3 rwm"]`; else all',
  PVR_LXC_CGROUP_V1:
    'limits of control groups, as after `lxc.cgroup.`: `["memory.limit_in_bytes = 64M"]`; those of version 2 are lines of PV_LXC_EXTRA_CONF',
  PV_LXC_EXTRA_ENV: 'variables of its init: `["NAME=value"]`',
  PV_LXC_DISABLE_CONSOLE: 'yes: `lxc.console.path = none`',
  PV_DISABLE_AUTODEV: 'yes: LXC makes no `/dev` for it',
  LXC_MOUNT_AUTO_PROC: 'how `/proc` is mounted; else `proc`',
  LXC_MOUNT_AUTO_SYS: 'how `/sys` is mounted; else `sys:rw`',
  LXC_MOUNT_AUTO_GROUP: 'how control groups are mounted; else `cgroup`',
  LXC_TTY_MAX: 'its terminals; else 8',
  LXC_PTY_MAX: 'its pseudo-terminals; else 1024',
  PV_RUN_TMPFS_DISABLE: 'yes: no tmpfs on `/run`',
  PV_RUN_TMPFS_PATH: 'where that tmpfs is; else `run`',
  PV_RESOLV_CONF_DISABLE: 'yes: no `/etc/resolv.conf` of the device',
  PV_RESOLV_CONF_PATH: 'where that file is; else `etc/resolv.conf`',
  PV_SECURITY_FULLDEV: 'yes: the device’s `/dev`',
  PV_SECURITY_WITH_HOST: 'yes: the device’s root filesystem at `/host`, writable',
  PV_SECURITY_WITH_HOSTPROC: 'yes: the device’s `/proc` at `/host/proc`',
  PV_SECURITY_WITH_STORAGE: 'yes: the storage folder at `/storage`',
  PV_FILEIMPORTS: 'files of the exports of others: `container/path:path here`',
  PV_IMPORT_CONFIGVOLUMES:
    'what a volume of another has for it: `container/volume:path here` mounts the folder of its name',
  PV_PERSISTENCE: 'what it keeps, see above',
  PV_VOLUMES: 'what it brings along, see above',
  PV_VOLUME_MOUNTS: 'the same, as Pantavisor’s packager has it: `models.squashfs:opt/models`',
  PV_EXPORTS: 'what it shares, see above',
};
