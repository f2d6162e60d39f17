// The keys that LXC knows from 5.0 on (src/lxc/confile.c): it refuses a configuration with any other. Pure.
import type { LxcEntry, LxcProblem } from './entry.ts';

export const EXACT_KEYS: ReadonlySet<string> = new Set(
  `apparmor.allow_incomplete apparmor.allow_nesting apparmor.profile apparmor.raw arch autodev autodev.tmpfs.size cap.drop
  cap.keep cgroup cgroup.dir cgroup.dir.container cgroup.dir.container.inner cgroup.dir.monitor cgroup.dir.monitor.pivot
  cgroup.relative cgroup2 console.buffer.size console.logfile console.path console.rotate console.size environment ephemeral
  execute.cmd group hook hook.autodev hook.clone hook.destroy hook.mount hook.post-stop hook.pre-mount hook.pre-start hook.start
  hook.start-host hook.stop hook.version idmap include init.cmd init.cwd init.gid init.groups init.uid keyring.session log.file
  log.level log.syslog monitor.signal.pdeath monitor.unshare mount.auto mount.entry mount.fstab namespace.clone namespace.keep
  net no_new_privs prlimit proc pty.max rootfs.managed rootfs.mount rootfs.options rootfs.path sched.core
  seccomp.allow_nesting seccomp.notify.cookie seccomp.notify.proxy seccomp.profile selinux.context selinux.context.keyring
  signal.halt signal.reboot signal.stop start.auto start.delay start.order sysctl time.offset.boot time.offset.monotonic
  tty.dir tty.max uts.name`
    .split(/\s+/)
    .map((name) => `lxc.${name}`),
);

/** And the release that has it first; distributions may have it in an earlier one. LXC 6.0 has none that 5.0 has not. */
const NEWER_KEYS: ReadonlyMap<string, string> = new Map([
  ['lxc.environment.hooks', '7.0'],
  ['lxc.environment.runtime', '7.0'],
]);

/** Only the LXC that Pantavisor brings has them; any other is given the configuration without. */
const PANTAVISOR_KEYS: ReadonlySet<string> = new Set(['lxc.tty.min']);

/** As /proc/<pid>/ns names them, which is how LXC wants them. */
export const NAMESPACES: readonly string[] = ['user', 'mnt', 'pid', 'uts', 'ipc', 'net', 'cgroup', 'time'];

/** Followed by the name of a controller, a limit, a kernel setting, a namespace, or the number of an interface. */
const FAMILIES = new RegExp(
  `^lxc\\.(?:(?:cgroup2?|prlimit|proc|sysctl)\\..+|namespace\\.share\\.(?:${NAMESPACES.join('|')})|net\\.\\d+(?:\\..+)?)$`,
);

/** Names of LXC 2, which LXC 3 took away (lxc-update-config(1)). */
const RENAMED: readonly (readonly [RegExp, string])[] = [
  [/^lxc\.utsname$/, 'lxc.uts.name'],
  [/^lxc\.rootfs$/, 'lxc.rootfs.path'],
  [/^lxc\.rootfs\.backend$/, 'lxc.rootfs.path = <backend>:<path>'],
  [/^lxc\.mount$/, 'lxc.mount.fstab'],
  [/^lxc\.init_cmd$/, 'lxc.init.cmd'],
  [/^lxc\.init_(uid|gid)$/, 'lxc.init.$1'],
  [/^lxc\.tty$/, 'lxc.tty.max'],
  [/^lxc\.pts$/, 'lxc.pty.max'],
  [/^lxc\.devttydir$/, 'lxc.tty.dir'],
  [/^lxc\.console$/, 'lxc.console.path'],
  [/^lxc\.(id_map)$/, 'lxc.idmap'],
  [/^lxc\.aa_profile$/, 'lxc.apparmor.profile'],
  [/^lxc\.aa_allow_incomplete$/, 'lxc.apparmor.allow_incomplete'],
  [/^lxc\.se_context$/, 'lxc.selinux.context'],
  [/^lxc\.seccomp$/, 'lxc.seccomp.profile'],
  [/^lxc\.(halt|reboot|stop)signal$/, 'lxc.signal.$1'],
  [/^lxc\.log(level|file)$/, 'lxc.log.$1'],
  [/^lxc\.limit\.(.+)$/, 'lxc.prlimit.$1'],
  [/^lxc\.network\.(.+)$/, 'lxc.net.0.$1'],
];

export function isPantavisorKey(key: string): boolean {
  return PANTAVISOR_KEYS.has(key);
}

function isKnown(key: string): boolean {
  return EXACT_KEYS.has(key) || NEWER_KEYS.has(key) || isPantavisorKey(key) || FAMILIES.test(key);
}

/** One for each line whose key LXC would refuse, and the whole configuration with it. */
export function unknownKeys(entries: readonly LxcEntry[]): readonly LxcProblem[] {
  return entries
    .filter(({ key }) => !isKnown(key))
    .map(({ key, line, source }) => {
      const renamed = RENAMED.find(([old]) => old.test(key));
      const way = renamed === undefined ? 'correct or remove the line' : `write ${key.replace(...renamed)}`;
      return { line, source, reason: `LXC has no key '${key}' and would refuse the whole file: ${way}` };
    });
}

/** From what LXC said when it read a configuration: the key that it does not know, as it is older than the configuration, and what to do. */
export function keyTooNew(said: string): string | undefined {
  const [, key] = /Unsupported config key "([^"]+)"/.exec(said) ?? [];
  if (key === undefined) return undefined;
  const newer = NEWER_KEYS.get(key);
  const way = newer === undefined ? 'install a newer one' : `install LXC ${newer}`;
  return `the LXC of this machine is too old for the key ${key}: ${way}, or remove the line`;
}
