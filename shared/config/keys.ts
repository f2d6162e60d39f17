// Every configuration key: its kind, its default, whether user-meta may override it, and what Berth does with it. Names, aliases,
// kinds and defaults are Pantavisor's; a key without a `job` is accepted and shown, and changes nothing here.
import {
  choice,
  count,
  duration,
  flag,
  type Kind,
  percent,
  place,
  port,
  program,
  size,
  text,
  word,
  wordSet,
} from './kinds.ts';

export interface Key<T> {
  readonly kind: Kind<T>;
  /** As written; parsed by its kind. */
  readonly standard: string;
  /** The older dotted name, under which `GET /config` shows it. */
  readonly alias?: string;
  /** Further names by which Pantavisor takes it, some of which its earlier releases had. */
  readonly otherNames?: readonly string[];
  /** Whether a value in user-meta overrides it while Berth runs. */
  readonly userMeta?: true;
  /** An empty value says nothing: what is below it counts. */
  readonly neverEmpty?: true;
  /** What Berth does with it, for people. */
  readonly job?: string;
}

function key<T>(kind: Kind<T>, standard: string, more: Omit<Key<T>, 'kind' | 'standard'> = {}): Key<T> {
  return { kind, standard, ...more };
}

/** Bits of `log.server.outputs`, as Pantavisor's clients know them. */
const OUTPUTS = {
  nullsink: 1,
  singlefile: 2,
  filetree: 4,
  stdout: 8,
  'stdout.containers': 16,
  'stdout.pantavisor': 32,
  stdout_direct: 64,
} as const;

/** Pantavisor's own, which takes what a failed update says about itself; always there. */
const UPDATE_OUTPUT = 128;

/** As LXC numbers them (`enum lxc_loglevel` in its src/lxc/log.h). */
export const LXC_LEVELS = ['trace', 'debug', 'info', 'notice', 'warn', 'error', 'crit', 'alert', 'fatal'] as const;
const LEVELS = ['fatal', 'error', 'warn', 'wall', 'info', 'debug', 'trace'] as const;

export const KEYS = {
  PH_CREDS_HOST: key(text, 'api.pantahub.com', { alias: 'creds.host' }),
  PH_CREDS_ID: key(text, '', { alias: 'creds.id' }),
  PH_CREDS_PORT: key(port, '443', { alias: 'creds.port' }),
  PH_CREDS_PROXY_HOST: key(text, '', { alias: 'creds.proxy.host' }),
  PH_CREDS_PROXY_NOPROXYCONNECT: key(count, '0', { alias: 'creds.proxy.noproxyconnect' }),
  PH_CREDS_PROXY_PORT: key(port, '3218', { alias: 'creds.proxy.port' }),
  PH_CREDS_PRN: key(text, '', { alias: 'creds.prn' }),
  PH_CREDS_SECRET: key(text, '', { alias: 'creds.secret' }),
  PH_CREDS_TYPE: key(text, 'builtin', { alias: 'creds.type' }),
  PH_FACTORY_AUTOTOK: key(text, '', { alias: 'factory.autotok' }),
  PH_LIBEVENT_HTTP_DOWNLOAD_RATE_LIMIT: key(text, '', { userMeta: true }),
  PH_LIBEVENT_HTTP_RETRIES: key(count, '1', { userMeta: true }),
  PH_LIBEVENT_HTTP_TIMEOUT: key(count, '60', { userMeta: true }),
  PH_METADATA_DEVMETA_INTERVAL: key(count, '10', {
    alias: 'metadata.devmeta.interval',
    userMeta: true,
    job: 'seconds after which containers of role mgmt see in device-meta how the device is',
  }),
  PH_METADATA_USRMETA_INTERVAL: key(count, '5', { alias: 'metadata.usrmeta.interval', userMeta: true }),
  PH_ONLINE_REQUEST_THRESHOLD: key(count, '0', { userMeta: true }),
  PH_UPDATER_INTERVAL: key(count, '5', { alias: 'updater.interval', userMeta: true }),
  PH_UPDATER_NETWORK_TIMEOUT: key(count, '120', { alias: 'updater.network_timeout', userMeta: true }),
  PH_UPDATER_TRANSFER_MAX_COUNT: key(count, '5', { userMeta: true }),

  PV_BOOTLOADER_FITCONFIG: key(text, '', {
    alias: 'bootloader.fitconfig',
    job: '`<device tree>#<overlay>…`: which sections of `bsp/drivers.json` count, beside those of the device tree’s model',
  }),
  PV_BOOTLOADER_MTD_ENV: key(text, '', { alias: 'bootloader.mtd_env' }),
  PV_BOOTLOADER_MTD_ONLY: key(flag, '0', { alias: 'bootloader.mtd_only' }),
  PV_BOOTLOADER_TYPE: key(choice(['uboot', 'uboot-pvk', 'grub', 'rpiab', 'uboot-ab', 'efiab']), 'uboot', {
    alias: 'bootloader.type',
  }),
  PV_BOOTLOADER_UBOOTAB_A_NAME: key(text, 'fitA'),
  PV_BOOTLOADER_UBOOTAB_B_NAME: key(text, 'fitB'),
  PV_BOOTLOADER_UBOOTAB_ENV_BAK_NAME: key(text, ''),
  PV_BOOTLOADER_UBOOTAB_ENV_NAME: key(text, ''),
  PV_BOOTLOADER_UBOOTAB_ENV_OFFSET: key(text, '0'),
  PV_BOOTLOADER_UBOOTAB_ENV_SIZE: key(text, '0'),
  PV_CACHE_DEVMETADIR: key(text, '/var/pantavisor/storage/cache/devmeta', {
    alias: 'cache.devmetadir',
    job: 'the folder of device-meta: right in `cache` of the storage, which may be written as `/storage`',
  }),
  PV_CACHE_USRMETADIR: key(text, '/var/pantavisor/storage/cache/usrmeta', {
    alias: 'cache.usrmetadir',
    otherNames: ['meta.cache.dir'],
    job: 'the folder of user-meta, likewise; not set, and with a folder `cache/meta` of Pantavisor’s, it is that',
  }),
  PV_CONTROL_REMOTE: key(flag, '0', { alias: 'control.remote' }),
  PV_CONTROL_REMOTE_ALWAYS: key(flag, '0', { alias: 'control.remote.always' }),
  PV_DEBUG_SHELL: key(flag, '0', { alias: 'debug.shell' }),
  PV_DEBUG_SHELL_AUTOLOGIN: key(flag, '0', { alias: 'debug.shell.autologin' }),
  PV_DEBUG_SHELL_TIMEOUT: key(count, '60'),
  PV_DEBUG_SSH: key(flag, '0', { alias: 'debug.ssh', userMeta: true }),
  PV_DEBUG_SSH_AUTHORIZED_KEYS: key(text, '', { alias: 'debug.ssh_authorized_keys', userMeta: true }),
  PV_DISK_EXPORTSDIR: key(place, '/exports', {
    alias: 'disk.exportsdir',
    job: 'where containers’ exports appear on the host, when it is set or with `--mode embedded`; `<rundir>/exports` otherwise',
  }),
  PV_DISK_VOLDIR: key(text, '/volumes', { alias: 'disk.voldir' }),
  PV_DISK_WRITABLEDIR: key(text, '/var/run/pv/writable', { alias: 'disk.writabledir' }),
  PV_DROPBEAR_CACHE_DIR: key(text, '/var/pantavisor/storage/cache/dropbear', { alias: 'dropbear.cache.dir' }),
  PV_LIBEVENT_DEBUG_MODE: key(flag, '0', { userMeta: true }),
  PV_LIBTHTTP_CERTSDIR: key(text, '/etc/thttp/certs', {
    alias: 'libthttp.certdir',
    otherNames: ['libthttp.certsdir'],
  }),
  PV_LIBTHTTP_LOG_LEVEL: key(count, '3', { alias: 'libthttp.log.level', userMeta: true }),

  PV_LOG_AUTO_DEVLOG: key(flag, '1', {
    job: 'whether containers get a `/dev/log`, where `dev-log` in `run.json` says nothing',
  }),
  PV_LOG_BUF_NITEMS: key(count, '128', { alias: 'log.buf_nitems' }),
  PV_LOG_CAPTURE: key(flag, '1', { alias: 'log.capture', job: 'whether logs of containers are kept' }),
  PV_LOG_CAPTURE_DMESG: key(flag, '0', {
    alias: 'log.capture.dmesg',
    job: 'whether the log of the kernel is kept, as `dmesg` in pantavisor.log',
  }),
  PV_LOG_DIR: key(text, '/var/pantavisor/storage/logs', { alias: 'log.dir' }),
  PV_LOG_DIR_MAXSIZE: key(size, '0', {
    userMeta: true,
    job: 'the budget of the log folder, as `64M` or `10%` of its disk; 0 is a tenth of its disk, or all of a tmpfs',
  }),
  PV_LOG_EVENTS: key(flag, '1'),
  PV_LOG_FILETREE_TIMESTAMP_FORMAT: key(text, '', {
    alias: 'log.filetree.timestamp.format',
    userMeta: true,
    job: '`strftime:<format>` or `golang:<layout>` for lines of messages',
  }),
  PV_LOG_HYSTERESIS_FACTOR: key(count, '4', {
    userMeta: true,
    job: 'when the log folder exceeds 90 % of its budget, the oldest logs are deleted until it is 1/n of the budget below it (4: down to 75 %)',
  }),
  PV_LOG_LEVEL: key(choice(LEVELS), 'info', {
    alias: 'log.level',
    userMeta: true,
    job: 'the least that a message of Berth itself must be: `fatal`, `error`, `warn`, `info`, `debug` or `trace`',
  }),
  PV_LOG_LOGGERS: key(flag, '1', { alias: 'log.loggers' }),
  PV_LOG_MAXSIZE: key(count, '0', {
    otherNames: ['log.maxsize'],
    userMeta: true,
    job: 'bytes at which a file is rotated, if that is earlier than by PV_LOG_ROTATE_FACTOR; 0: by that alone',
  }),
  PV_LOG_PUSH: key(flag, '0', { alias: 'log.push', otherNames: ['pantahub.log.push'], userMeta: true }),
  PV_LOG_ROTATE_FACTOR: key(count, '5', {
    userMeta: true,
    job: 'a log file is rotated at 1/n of what PV_LOG_HYSTERESIS_FACTOR leaves below the budget, 16 KiB to 8 MiB',
  }),
  PV_LOG_SERVER_OUTPUTS: key(wordSet(OUTPUTS, UPDATE_OUTPUT), 'filetree', {
    alias: 'log.server.outputs',
    userMeta: true,
    job: 'where logs go: `filetree` (files by source), `singlefile` (pv.log), `stdout`, `stdout.containers`, `stdout.pantavisor` or `nullsink` (nowhere); several are parted by commas',
  }),
  PV_LOG_SINGLEFILE_TIMESTAMP_FORMAT: key(text, '', {
    alias: 'log.singlefile.timestamp.format',
    userMeta: true,
    job: 'the same for `ts` in pv.log',
  }),
  PV_LOG_STDOUT_TIMESTAMP_FORMAT: key(text, '', {
    alias: 'log.stdout.timestamp.format',
    userMeta: true,
    job: 'the same for lines on stdout',
  }),
  PV_LXC_LOG_LEVEL: key(choice(LXC_LEVELS), 'info', {
    alias: 'lxc.log.level',
    job: 'the least that a line of LXC’s own log of a container must be; a number is LXC’s, 0 for `trace` to 8 for `fatal`',
  }),

  PV_NET_BRADDRESS4: key(text, '10.0.3.1', { alias: 'net.braddress4' }),
  PV_NET_BRDEV: key(text, 'lxcbr0', { alias: 'net.brdev' }),
  PV_NET_BRMASK4: key(text, '255.255.255.0', { alias: 'net.brmask4' }),
  PV_OEM_NAME: key(text, ''),
  PV_POLICY: key(text, '', { alias: 'policy' }),
  PV_POWER_MODE: key(choice(['disabled', 'locks', 'managed']), 'disabled', { alias: 'power.mode' }),
  PV_POWER_DEVMETA_EAGER_PUSH: key(flag, '0', { alias: 'power.devmeta.eager_push' }),
  PV_POWER_WAKE_INTERVAL: key(duration, '3600', { alias: 'power.wake.interval' }),
  PV_POWER_WAKE_RUN_WINDOW: key(duration, '0', { alias: 'power.wake.run_window' }),
  PV_POWER_AUTOSLEEP_SETTLE: key(duration, '90', { alias: 'power.autosleep.settle' }),
  PV_POWER_WAKE_MIN_AWAKE: key(duration, '10', { alias: 'power.wake.min_awake' }),
  PV_POWER_WAKE_MAX_AWAKE: key(duration, '60', { alias: 'power.wake.max_awake' }),
  PV_POWER_DEVMETA_MAX_HELD: key(duration, '300', { alias: 'power.devmeta.max_held' }),
  PV_POWER_SYSFS_DIR: key(text, '/sys/power', { alias: 'power.sysfs_dir' }),
  PV_REMOUNT_POLICY: key(text, '', {
    job: 'which policy of `remount` in device.json and run.json is followed; `default` where it is empty',
  }),
  PV_REVISION_RETRIES: key(count, '10', { alias: 'revision.retries', userMeta: true }),

  PV_SECUREBOOT_CHECKSUM: key(flag, '1', {
    alias: 'secureboot.checksum',
    job: '0: objects of a revision that was taken before are not hashed at each start; those of a new one always are',
  }),
  PV_SECUREBOOT_HANDLERS: key(flag, '0', { alias: 'secureboot.handlers' }),
  PV_SECUREBOOT_MODE: key(choice(['disabled', 'audit', 'lenient', 'strict']), 'disabled', {
    alias: 'secureboot.mode',
    job: 'signatures: `audit` only logs, `lenient` refuses those that do not hold, `strict` also parts without any',
  }),
  // The missing letter of the alias is Pantavisor's.
  PV_SECUREBOOT_OEM_TRUSTSTORE: key(text, 'ca-oem-certificates', { alias: 'PV_SECUREBOOT_OEM_TRUSTORE' }),
  PV_SECUREBOOT_TRUSTSTORE: key(text, 'ca-certificates', {
    alias: 'secureboot.truststore',
    job: 'certificates of who may sign: `<name>.crt` or folder `<name>` in `pantavisor/pvs/trust` of PV_SYSTEM_ETCDIR, or a path',
  }),

  PV_STORAGE_DEVICE: key(text, '', { alias: 'storage.device' }),
  PV_STORAGE_FIRMWARE_VOL: key(flag, '0'),
  PV_STORAGE_FSTYPE: key(text, '', { alias: 'storage.fstype' }),
  PV_STORAGE_GC_KEEP_FACTORY: key(flag, '0', {
    alias: 'storage.gc.keep_factory',
    otherNames: ['updater.keep_factory'],
    userMeta: true,
    job: 'whether revision 0 is never garbage',
  }),
  PV_STORAGE_GC_RESERVED: key(percent, '5', {
    alias: 'storage.gc.reserved',
    userMeta: true,
    job: 'percent of the storage that uploads leave free',
  }),
  PV_STORAGE_GC_THRESHOLD_DEFERTIME: key(count, '600', {
    alias: 'storage.gc.threshold.defertime',
    userMeta: true,
    job: 'seconds for which a revision that was never run, or an object that no revision uses, is kept after it came; garbage collection on command takes such objects at once',
  }),
  PV_STORAGE_GC_THRESHOLD: key(percent, '0', {
    alias: 'storage.gc.threshold',
    userMeta: true,
    job: 'percent of the storage that must be free beyond the reserve; with less, garbage is collected automatically; 0: never',
  }),
  PV_STORAGE_LOGTEMPSIZE: key(text, '', { alias: 'storage.logtempsize' }),
  PV_STORAGE_MNTPOINT: key(text, '', {
    alias: 'storage.mntpoint',
    job: 'where revisions, leases and logs are, when `--storage` is not given',
  }),
  PV_STORAGE_MNTTYPE: key(text, '', { alias: 'storage.mnttype' }),
  PV_STORAGE_OPTS: key(text, '', { otherNames: ['storage.opts'] }),
  PV_STORAGE_PHCONFIG_VOL: key(flag, '0'),
  PV_STORAGE_WAIT: key(count, '5', { alias: 'storage.wait' }),

  PV_SYSTEM_APPARMOR_PROFILES: key(text, '', { alias: 'system.apparmor.profiles' }),
  PV_SYSTEM_CONFDIR: key(text, '/run/pantavisor/configs', { alias: 'system.confdir' }),
  PV_SYSTEM_DRIVERS_LOAD_EARLY_AUTO: key(flag, '0', { alias: 'system.drivers.load_early.auto' }),
  PV_SYSTEM_ETCDIR: key(place, '/etc', {
    alias: 'system.etcdir',
    neverEmpty: true,
    job: 'below it is `pantavisor/pvs/trust`, with `pub.pem` for signatures without certificates',
  }),
  PV_SYSTEM_ETCPANTAVISORDIR: key(text, '/etc/pantavisor'),
  PV_SYSTEM_INIT_MODE: key(choice(['embedded', 'standalone', 'appengine']), 'appengine', {
    alias: 'system.init.mode',
    job: 'what a reboot is, when `--mode` is not given; `standalone` is not supported',
  }),
  PV_SYSTEM_LIBDIR: key(place, '/usr/lib/pantavisor', {
    alias: 'system.libdir',
    job: 'below it is `pv/hooks/system.d`, the folder of hooks; with `--sandbox` there are none unless `--set` says so',
  }),
  PV_SYSTEM_MEDIADIR: key(text, '/run/pantavisor/media', { alias: 'system.mediadir' }),
  PV_SYSTEM_MOUNT_SECURITYFS: key(flag, '0', { alias: 'system.mount.securityfs' }),
  PV_SYSTEM_RUNDIR: key(text, '/run/pantavisor/pv', {
    alias: 'system.rundir',
    neverEmpty: true,
    job: 'sockets, namespaces and mounts, when `--rundir` is not given',
  }),
  PV_SYSTEM_DISKSDIR: key(text, '/run/pantavisor/disks', { alias: 'system.disksdir' }),
  PV_SYSTEM_USRDIR: key(text, '/usr', { alias: 'system.usrdir' }),

  PV_UPDATER_COMMIT_DELAY: key(count, '25', {
    alias: 'updater.commit.delay',
    userMeta: true,
    job: 'seconds for which everything must be well before an update is committed',
  }),
  PV_UPDATER_GOALS_TIMEOUT: key(count, '120', {
    alias: 'updater.goals.timeout',
    job: 'seconds within which the containers of an update must reach their goals; a `stable_timeout` of theirs is waited for beyond it. A group without `timeout` has this one, also at a boot',
  }),
  PV_UPDATER_USE_TMP_OBJECTS: key(flag, '0', { alias: 'updater.use_tmp_objects', userMeta: true }),
  PV_VOLMOUNT_DM_EXTRA_ARGS: key(text, ''),
  PV_WDT_MODE: key(choice(['disabled', 'shutdown', 'startup', 'always']), 'disabled', {
    alias: 'wdt.mode',
    job: 'when the hardware watchdog guards the machine, with `--mode embedded`: `disabled`, `shutdown` (while it goes down), `startup` (also until all services are up) or `always`',
  }),
  PV_WDT_TIMEOUT: key(count, '15', {
    alias: 'wdt.timeout',
    job: 'seconds without being fed after which it resets the machine; 0: what its driver has',
  }),
  PV_XCONNECT_DBUS_SYSTEMBUS_ENABLED: key(flag, '0', { alias: 'xconnect.dbus.systembus.enabled' }),
  PV_XCONNECT_SERVICES_CIDR: key(text, '', { otherNames: ['xconnect.services.cidr'] }),

  BERTH_MODPROBE: key(program, 'modprobe', { job: 'the program that loads and unloads the modules of drivers' }),
  BERTH_PROC: key(place, '/proc', {
    job: 'where loaded modules, the device tree and the kernel’s command line are read',
  }),
  BERTH_SYSCTLS: key(flag, '1', {
    job: '0, as with `--sandbox`: parameters of the kernel that the file and the environment name are not set, nor is `fs.protected_hardlinks`, which is 1 otherwise',
  }),
  BERTH_HOOK_TIMEOUT: key(duration, '60', {
    job: 'seconds, or with a unit (`2min`), that one hook may take before it is killed, and has failed',
  }),
  BERTH_CRYPTSETUP: key(program, 'cryptsetup', { job: 'the program that opens encrypted disks: a name, or a path' }),
  BERTH_CHECKSUM_CACHE: key(flag, '0', {
    job: '1: a start does not hash an object again whose inode, size and time of change are as when it was hashed; storage that decays unseen is not noticed then',
  }),
  BERTH_REBOOT: key(text, '', { job: 'the command that reboots the machine, where it is not to be its init’s' }),
  BERTH_POWEROFF: key(text, '', { job: 'the command that powers it off' }),
  BERTH_WATCHDOG: key(place, '/dev/watchdog', { job: 'the device of the hardware watchdog' }),
  BERTH_POOL_OVERLAP: key(word(['error', 'warning']), 'error', {
    job: 'a pool that overlaps an address, route or name server of the machine: `error` refuses a revision that is tried, and has the containers of that pool wait until that is over, where one ran before; `warning` only has the log and health tell of it; `--pool-overlap`',
  }),
  BERTH_LEASE_HOLD: key(duration, '86400', {
    job: 'seconds, or with a unit (`7d`), for which a container may be in no revision before its addresses are given back; `--lease-hold`',
  }),
  BERTH_SENDERS: key(word(['checked', 'any']), 'checked', {
    job: '`checked`: containers of bridge pools may send only from the MAC and address of their lease; `any`: from others, too, as routers of further subnets do',
  }),
  BERTH_NAT: key(word(['auto', 'nftables', 'iptables', 'none']), 'auto', {
    job: 'what does NAT: `nftables`, `iptables`, `none` or `auto` (nftables where it works, otherwise iptables); `--nat`',
  }),
} as const satisfies Readonly<Record<string, Key<unknown>>>;

export type KeyName = keyof typeof KEYS;
export type KeyValue<K extends KeyName> = (typeof KEYS)[K] extends Key<infer T> ? T : never;
