// Values that LXC refuses, held against the LXC that is installed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { wrongValue } from '../../shared/lxc-config/values.ts';

const words = (text: string): readonly string[] => text.trim().split(/\s+/);
const CAPABILITIES =
  words(`chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
  net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice
  sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm
  block_suspend audit_read perfmon bpf checkpoint_restore`);
const SIGNALS =
  words(`HUP INT QUIT ILL ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ
  VTALRM PROF WINCH IO POLL PWR UNUSED SYS TRAP IOT CLD INFO LOST EMT`);
const ACCESS = ['', ':mixed', ':ro', ':rw', ':force', ':mixed:force', ':ro:force', ':rw:force', ':force:ro', ':', ':x'];

/** What LXC takes of these is taken; `refused` is what both refuse. */
const VALUES: Readonly<Record<string, { readonly tried: readonly string[]; readonly refused: readonly string[] }>> = {
  'lxc.cap.drop': {
    tried: [...CAPABILITIES, 'none', '0', '40', '0x10', '07', '+1', 'chown  kill', 'chown\tkill'],
    refused: ['foo', 'CHOWN', 'cap_chown', 'chown,kill', 'chown foo', '-1', 'none', '08', '99999999999'],
  },
  'lxc.cap.keep': { tried: [...CAPABILITIES, 'none', '5', 'none chown'], refused: ['foo'] },
  ...Object.fromEntries(
    ['halt', 'reboot', 'stop'].map((name) => [
      `lxc.signal.${name}`,
      {
        tried: [
          ...SIGNALS.flatMap((signal) => [signal, `SIG${signal}`, `sig${signal.toLowerCase()}`]),
          'SIGRTMIN',
          'SIGRTMIN+1',
          'SIGRTMIN+15',
          'SIGRTMAX',
          'SIGRTMAX-1',
          'sigrtmin+3',
          'RTMIN+3',
          '0',
          '37',
          '999',
          '0x9',
          '010',
          'SIGRTMIN+010',
          'SIGRTMIN+30',
          'SIGRTMAX-0x1e',
        ],
        refused: words(
          'SIGFOO PWR SIGRTMIN SIGRTMIN+31 SIGRTMAX-31 SIGRTMIN+40 SIGRTMIN-3 RTMAX-1 -1 +5 1x 08 2147483648',
        ),
      },
    ]),
  ),
  'lxc.mount.auto': {
    tried: [
      ...['proc', 'sys', 'cgroup', 'cgroup-full', 'cgroup2', 'shmounts', 'dev'].flatMap((name) =>
        ACCESS.map((access) => `${name}${access}`),
      ),
      'proc sys:rw cgroup',
      'shmounts:/a',
      'shmounts:/a:/b',
    ],
    refused: ['foo', 'proc:ro', 'proc foo', 'proc,sys', 'PROC', 'cgroup:foo', 'shmounts'],
  },
  'lxc.environment': { tried: ['PATH', 'LC_ALL', 'A=', 'A=b c', '=b'], refused: ['A', 'A b', 'HOME'] },
  'lxc.tty.max': {
    tried: ['0', '8', '0x10', '010', '+1', '4294967295'],
    refused: ['x', '-1', '1x', '1k', '08', '4294967296', '99999999999'],
  },
  'lxc.pty.max': { tried: ['0', '1024', '0x10', '+010'], refused: ['x', '-1', '08', '4294967296'] },
  'lxc.autodev': { tried: ['0', '1', '+1', '01', '0x1', '+0x1', '00'], refused: ['2', 'yes', '-1', '010', '08'] },
  ...Object.fromEntries(
    words('keyring.session sched.core rootfs.managed apparmor.allow_incomplete apparmor.allow_nesting').map((name) => [
      `lxc.${name}`,
      { tried: ['0', '1', '+1', '01', '00'], refused: ['2', 'x', '-1'] },
    ]),
  ),
  'lxc.hook.version': { tried: ['0', '1', '01', 'x'], refused: ['2'] },
  'lxc.seccomp.allow_nesting': { tried: ['0', '1', '01', 'x'], refused: ['2'] },
  'lxc.net.0.type': {
    tried: ['empty', 'ipvlan', 'macvlan', 'none', 'phys', 'veth', 'vlan'],
    refused: ['foo', 'VETH', 'bridge'],
  },
  'lxc.init.groups': { tried: ['1', '1,2', '1, 2', '1,', ',1', '0x1'], refused: ['x', '1 2', '1,x', '-1'] },
  'lxc.time.offset.boot': {
    tried: ['10s', '10 s', '-5s', '+10s', '10h', '10m', '10ms', '10us', '10ns'],
    refused: ['10', 'x', '10S', '1d', '1.5s', '0x10s', '10sx'],
  },
  'lxc.no_new_privs': { tried: ['0', '1'], refused: ['2', 'x'] },
  'lxc.arch': {
    tried:
      words(`i386 i486 i586 i686 x86 athlon x86_64 amd64 arm armel armhf armv6l armv7 armv7l armv8l arm64 aarch64 mips mipsel mips64
      mips64el ppc powerpc ppc64 ppc64le ppc64el powerpc64 s390 s390x riscv64 linux32 linux64`),
    refused: ['foo', 'x64', 'X86_64', 'armv7'],
  },
  'lxc.prlimit.nofile': {
    tried: ['1', '1:2', 'unlimited', '1:unlimited', 'unlimited:1', '1 : 2', '1:', ':1', '-1'],
    refused: ['x', '1024k', 'inf', '0x10', '1:2:3'],
  },
};
const LIMITS = words(
  `as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack 7 NOFILE swap`,
);

describe('lxcConfig.values', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-lxc-values-'));
    for (const name of ['x', 'root', 'root/b']) mkdirSync(join(folder, name));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** With what Berth gives LXC. */
  const run = (lines: readonly string[], command: string, ...args: readonly string[]) => {
    writeFileSync(join(folder, 'x/config'), `${lines.join('\n')}\n`);
    const env = { PATH: process.env.PATH, LC_ALL: 'C' };
    return spawnSync(command, args, { encoding: 'utf8', env, timeout: 60_000, killSignal: 'SIGKILL' });
  };
  const reads = (line: string): boolean => run([line], 'lxc-info', '-P', folder, '-n', 'x', '-s').status === 0;
  /** In mounts of its own: what a start of it says before anything of it runs. */
  const starts = (...lines: readonly string[]): string => {
    const config = ['lxc.net.0.type = none', `lxc.rootfs.path = dir:${folder}/root`, ...lines];
    const start = ['lxc-start', '-F', '-P', folder, '-n', 'x', '-l', 'ERROR', '--', '/none'];
    const { stdout, stderr } = run(config, 'unshare', '--mount', '--propagation', 'private', ...start);
    return stdout + stderr;
  };

  for (const [key, { tried, refused }] of Object.entries(VALUES)) {
    it(`of ${key} are taken where LXC takes them, and named where it does not`, () => {
      assert.ok(
        tried.some((value) => reads(`${key} = ${value}`)),
        'LXC takes some',
      );
      assert.deepEqual(
        [...tried, ...refused].filter(
          (value) => wrongValue({ key, value }) !== undefined && reads(`${key} = ${value}`),
        ),
        [],
      );
      for (const value of refused) {
        assert.equal(reads(`${key} = ${value}`), false, value);
        assert.ok(wrongValue({ key, value })?.startsWith(`${key}: '`), value);
      }
    });
  }

  it('are limits that LXC knows', () => {
    const isUnknown = (name: string) => starts(`lxc.prlimit.${name} = unlimited`).includes(`Unknown resource ${name}`);
    const isRefused = (name: string) => wrongValue({ key: `lxc.prlimit.${name}`, value: 'unlimited' }) !== undefined;
    assert.deepEqual(LIMITS.filter(isUnknown), ['NOFILE', 'swap']);
    assert.deepEqual(LIMITS.filter(isRefused), ['NOFILE', 'swap']);
  });

  it('are mounts of which LXC can make something', () => {
    const isMounted = (value: string) =>
      !starts(`lxc.mount.entry = ${value}`).includes('Failed to setup mount entries');
    const isTaken = (value: string) => wrongValue({ key: 'lxc.mount.entry', value }) === undefined;
    const taken = [
      'tmpfs b tmpfs',
      '/tmp b none bind',
      'tmpfs\tb  tmpfs rw 0 0',
      '/nowhere b none bind,optional',
      '# /a',
    ];
    for (const value of taken) assert.deepEqual([isMounted(value), isTaken(value)], [true, true], value);
    for (const value of ['/a', '/tmp b']) assert.deepEqual([isMounted(value), isTaken(value)], [false, false], value);
  });
});
