// Values of keys with a small vocabulary, as LXC 5.0 reads them (src/lxc/confile.c; limits and mounts: src/lxc/conf.c): with any other it
// refuses the whole configuration, or the start, and names neither the value nor the line. What depends on the kernel is let pass. Pure.
import type { LxcEntry } from './entry.ts';
import { unsignedNumber } from './numbers.ts';
import { signalNumber } from './signals.ts';

interface Rule {
  readonly keys: RegExp;
  /** Answers what is wrong, and the way out; undefined: LXC takes it. A value is never empty: that clears. */
  readonly wrong: (value: string, key: string) => string | undefined;
}

const isNumber = (text: string): boolean => unsignedNumber(text) !== undefined;
const wordsOf = (text: string): readonly string[] => text.trim().split(/\s+/);

// The next ones that a kernel has can be written as numbers.
const CAPABILITIES: ReadonlySet<string> = new Set(
  wordsOf(`audit_control audit_read audit_write block_suspend bpf checkpoint_restore chown dac_override dac_read_search fowner fsetid
  ipc_lock ipc_owner kill lease linux_immutable mac_admin mac_override mknod net_admin net_bind_service net_broadcast net_raw perfmon
  setfcap setgid setpcap setuid sys_admin sys_boot sys_chroot sys_module sys_nice sys_pacct sys_ptrace sys_rawio sys_resource sys_time
  sys_tty_config syslog wake_alarm`),
);
// LXC 5.0.2 does not know loongarch64 yet, later ones do.
const ARCHITECTURES =
  wordsOf(`aarch64 amd64 arm arm64 armel armhf armv7l athlon i386 i486 i586 i686 linux32 linux64 loongarch64 mips mips64
  mips64el mipsel powerpc powerpc64 ppc ppc64 ppc64el ppc64le riscv64 s390x x86 x86_64`);
const LIMITS = wordsOf(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack',
);
/** Those of the programs that Berth starts LXC with (shared/exec). */
const INHERITED = ['PATH', 'LC_ALL'];

const AUTOMATIC =
  /^(?:proc(?::(?:mixed|rw))?|sys(?::(?:mixed|ro|rw))?|cgroup(?:-full)?(?::(?:mixed|ro|rw))?(?::force)?|cgroup2(?::ro)?(?::force)?|shmounts:.*)$/;
const LIMIT = /^(?:unlimited|[-+\d \t])*(?::(?:unlimited|[-+\d \t])*)?$/;
const NETWORKS = wordsOf('empty ipvlan macvlan none phys veth vlan');
const OFFSET = /^[-+]?\d+\s*(?:h|m|s|ms|us|ns)$/;

const MAX_SHOWN = 80;
const quoted = (text: string): string => (text.length > MAX_SHOWN ? `'${text.slice(0, MAX_SHOWN)}…'` : `'${text}'`);

/** Every word of the value has to be `known`. */
const each =
  (known: (word: string, key: string) => boolean, what: string): Rule['wrong'] =>
  (value, key) => {
    const unknown = wordsOf(value).find((word) => !known(word, key));
    return unknown === undefined ? undefined : `${quoted(unknown)} is no ${what}`;
  };

const RULES: readonly Rule[] = [
  {
    keys: /^lxc\.cap\.(?:drop|keep)$/,
    wrong: each(
      (word, key) => CAPABILITIES.has(word) || isNumber(word) || (word === 'none' && key === 'lxc.cap.keep'),
      'capability; write them as in capabilities(7), in lower case, without cap_, with blanks between them',
    ),
  },
  {
    keys: /^lxc\.signal\.(?:halt|reboot|stop)$/,
    wrong: (value) =>
      signalNumber(value) !== undefined
        ? undefined
        : `${quoted(value)} is no signal; write SIGPWR, a number, SIGRTMIN+3 or SIGRTMAX-1`,
  },
  {
    keys: /^lxc\.mount\.auto$/,
    wrong: each(
      (word) => AUTOMATIC.test(word),
      'such mount; there are proc, sys, cgroup, cgroup-full, cgroup2, mostly with :mixed, :ro or :rw, and shmounts:<path>',
    ),
  },
  {
    keys: /^lxc\.environment(?:\.hooks|\.runtime)?$/,
    wrong: (value) =>
      value.includes('=') || INHERITED.includes(value)
        ? undefined
        : `${quoted(value)} has no "=", and LXC itself has no such variable; write NAME=value`,
  },
  {
    keys: /^lxc\.(?:tty|pty)\.max$/,
    wrong: (value) => (isNumber(value) ? undefined : `${quoted(value)} is no number`),
  },
  {
    keys: /^lxc\.(?:autodev|no_new_privs|keyring\.session|sched\.core|rootfs\.managed|apparmor\.allow_(?:incomplete|nesting))$/,
    wrong: (value) => ((unsignedNumber(value) ?? 2) <= 1 ? undefined : `${quoted(value)} is neither 0 nor 1`),
  },
  {
    // What is no number counts as 0 here.
    keys: /^lxc\.(?:hook\.version|seccomp\.allow_nesting)$/,
    wrong: (value) => ((unsignedNumber(value) ?? 0) <= 1 ? undefined : `${quoted(value)} is neither 0 nor 1`),
  },
  {
    keys: /^lxc\.net\.\d+\.type$/,
    wrong: (value) =>
      NETWORKS.includes(value) ? undefined : `${quoted(value)} is no network; there are ${NETWORKS.join(', ')}`,
  },
  {
    keys: /^lxc\.init\.groups$/,
    wrong: (value) =>
      value.split(',').every((group) => group.trim() === '' || isNumber(group.trim()))
        ? undefined
        : `${quoted(value)} is no list of groups; write their numbers, with commas between them`,
  },
  {
    keys: /^lxc\.time\.offset\.(?:boot|monotonic)$/,
    wrong: (value) =>
      OFFSET.test(value)
        ? undefined
        : `${quoted(value)} is no time; write a whole number and its unit, h, m, s, ms, us or ns`,
  },
  {
    keys: /^lxc\.arch$/,
    wrong: (value) =>
      ARCHITECTURES.includes(value)
        ? undefined
        : `${quoted(value)} is no architecture; there are ${ARCHITECTURES.join(', ')}`,
  },
  {
    keys: /^lxc\.prlimit\../,
    wrong(value, key) {
      const name = key.slice('lxc.prlimit.'.length);
      if (!LIMITS.includes(name) && !isNumber(name))
        return `${quoted(name)} is no limit; there are ${LIMITS.join(', ')}`;
      return LIMIT.test(value) ? undefined : `${quoted(value)} is no limit; write <soft>:<hard>, numbers or unlimited`;
    },
  },
  {
    keys: /^lxc\.mount\.entry$/,
    // getmntent(3) passes over comments; without a type mount(2) finds no such file system.
    wrong: (value) =>
      value.startsWith('#') || wordsOf(value).length >= 3
        ? undefined
        : `${quoted(value)} is no mount; write <source> <target> <type> <options> 0 0`,
  },
];

/** What is wrong with its value, and what to do; undefined: nothing, or nothing is known of it. */
export function wrongValue({ key, value }: Pick<LxcEntry, 'key' | 'value'>): string | undefined {
  const wrong = RULES.find(({ keys }) => keys.test(key))?.wrong(value, key);
  return wrong === undefined ? undefined : `${key}: ${wrong}`;
}
