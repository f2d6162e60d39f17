// A real lxc-svc process with the privileges of its contract, its peers played by the test, and root filesystems of busybox.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { setprivArguments } from '../../services/supervisor/spawn-arguments.ts';
import { createBroker } from '../../shared/ipc/broker.ts';
import { createChannel } from '../../shared/ipc/channel.ts';
import type { Channel, Client, EventPayload, ServiceName } from '../../shared/ipc/contract.ts';
import { CONTRACTS_HASH } from '../../shared/ipc/contracts-hash.ts';
import { memoryPorts } from '../../shared/ipc/memory-port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { LAUNCH_VARIABLE } from '../../shared/service/launch.ts';
import { bundled } from '../kit/bundled.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { patient } from '../kit/patient.ts';

export const RUNDIR = '/run/berth';
export const STORAGE = '/run/berth-storage';
const LOG_UID = 60801;

type Exited = EventPayload<(typeof lxcContract)['events']['containerExited']> & { readonly seenMs: number };

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: object };

export interface Rig {
  readonly lxc: Client<typeof lxcContract>;
  readonly exits: readonly Exited[];
  /** `mounted <container>`, `unmounted <container>`. */
  readonly mountEvents: readonly string[];
  /** What it asked of the supervisor: `open web`, `close web`. */
  readonly socketCalls: readonly string[];
  /** Of the service process. */
  pid(): number;
  /** What it logged, one JSON object a line. */
  output(): string;
  /** Of an answer that must be good; fails with what the service logged. */
  value<T>(answer: Outcome<T>): T;
  spawn(): Promise<void>;
  kill(): Promise<void>;
  /** As the supervisor ends it: its connection ends. */
  end(): Promise<void>;
  exitOf(container: string, pid: number): Promise<Exited>;
  close(): Promise<void>;
}

/** What a container's init does, as a shell script. */
const SCRIPTS: Readonly<Record<string, string>> = {
  obedient: 'trap "exit 3" PWR TERM; echo ready; while :; do sleep 0.1; done',
  deaf: 'trap "" PWR TERM INT HUP; echo ready; while :; do sleep 1; done',
  exit0: 'sleep 0.2; exit 0',
  exit7: 'sleep 0.2; exit 7',
  immediate: 'exit 9',
  reboot: 'sleep 0.2; reboot -f; sleep 5',
  flood: 'busybox yes what nobody reads | busybox head -c 2000000; echo last >/last; sleep 60',
  terminated: 'trap - TERM; kill -TERM $$; sleep 60',
  look: 'ls /pantavisor >/seen; cat /pantavisor/hello >>/seen; touch /pantavisor/no 2>/dev/null || echo ro >>/seen; hostname >>/seen; cat /etc/hostname >>/seen; ls /sys/class/net >>/seen; cat /data/kept >>/seen; sleep 60',
};

/** A revision 0 with one container per name, all with the same root filesystem. Returns nothing: it is below STORAGE. */
export function makeContainer(name: string, script: string, extraConfig = ''): void {
  const root = '/run/berth-root';
  const folder = join(STORAGE, 'trails/0', name);
  mkdirSync(folder, { recursive: true });
  const squashfs = '/run/berth-root.squashfs';
  if (!readdirSync('/run').includes('berth-root')) {
    for (const sub of ['bin', 'proc', 'sys', 'dev', 'etc', 'run', 'tmp', 'data'])
      mkdirSync(join(root, sub), { recursive: true });
    cpSync('/bin/busybox', join(root, 'bin/busybox'));
    const applets = ['sh', 'sleep', 'ls', 'cat', 'touch', 'hostname', 'reboot', 'mkdir', 'sync', 'kill'];
    for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
    for (const [app, text] of Object.entries(SCRIPTS)) {
      writeFileSync(join(root, 'bin', `app-${app}`), `#!/bin/sh\n${text}\n`);
      chmodSync(join(root, 'bin', `app-${app}`), 0o755);
    }
    execFileSync('mksquashfs', [root, squashfs, '-quiet', '-no-progress', '-processors', '1'], { stdio: 'ignore' });
  }
  cpSync(squashfs, join(folder, 'root.squashfs'));
  const config = [
    `lxc.rootfs.path = overlayfs:/volumes/${name}/root.squashfs:/volumes/${name}/lxc-overlay/upper`,
    'lxc.namespace.keep = user net ipc',
    `lxc.init.cmd = /bin/app-${script}`,
    'lxc.mount.auto = proc sys:rw cgroup',
    'lxc.mount.entry = tmpfs run tmpfs rw,nodev,relatime,mode=755 0 0',
    'lxc.cgroup.devices.allow = a',
    'lxc.tty.max = 0',
    extraConfig,
  ];
  writeFileSync(join(folder, 'lxc.container.conf'), `${config.join('\n')}\n`);
}

export const mountOf = (container: string, persistence: 'permanent' | 'revision' | 'boot' = 'permanent') => ({
  container,
  revision: '0',
  rootVolume: 'root.squashfs',
  config: 'lxc.container.conf',
  squashfs: [],
  bases: [],
  volumes: [{ name: 'lxc-overlay', persistence }],
  disks: [],
  exports: [],
  logFiles: [],
});
export const startOf = (container: string) => ({
  container,
  hostname: container,
  network: { kind: 'none' as const },
  devLog: true,
  roles: [],
});

export async function openRig(): Promise<Rig> {
  mkdirSync(join(RUNDIR, 'lxc'), { recursive: true });
  const program = await bundled('services/lxc-svc/main.ts');
  const ready: (() => void)[] = [];
  const broker = createBroker({
    contracts: [lxcContract, playedContract],
    contractsHash: CONTRACTS_HASH,
    log: silentLogger,
    listener: {
      onReady: (service) => {
        if (service === 'lxc-svc') for (const tell of ready.splice(0)) tell();
      },
      onBeat: () => undefined,
      onGone: () => undefined,
    },
  });
  const play = (service: ServiceName): Channel => {
    const [brokerEnd, serviceEnd] = memoryPorts();
    broker.attach(service, brokerEnd);
    return createChannel(serviceEnd, { contractsHash: CONTRACTS_HASH, log: silentLogger, beatMs: 0 });
  };
  const socketCalls: string[] = [];
  serveSupervisor(play('supervisor'), socketCalls);
  const exits: Exited[] = [];
  const mountEvents: string[] = [];
  const state = play('state-svc');
  const onLost = (): void => undefined;
  state.subscribe(lxcContract, 'containerExited', {
    onEvent: (exit) => exits.push({ ...exit, seenMs: Date.now() }),
    onLost,
  });
  const log = play('log-svc');
  log.subscribe(lxcContract, 'containerMounted', {
    onEvent: ({ container }) => mountEvents.push(`mounted ${container}`),
    onLost,
  });
  log.subscribe(lxcContract, 'containerUnmounted', {
    onEvent: ({ container }) => mountEvents.push(`unmounted ${container}`),
    onLost,
  });
  for (const channel of [state, log]) channel.ready();
  let child: ChildProcess | undefined;
  let output = '';

  return {
    lxc: state.client(patient(lxcContract)),
    exits,
    mountEvents,
    socketCalls,
    pid: () => child?.pid ?? 0,
    output: () => output,
    value(answer) {
      if (!answer.ok) assert.fail(`${JSON.stringify(answer.error)}\n${output}`);
      return answer.value;
    },
    async spawn() {
      const isReady = new Promise<void>((resolve) => ready.push(resolve));
      const [brokerFd, childFd] = unixSocketPair();
      child = spawnService(program, childFd);
      closeSync(childFd);
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      }
      broker.attach('lxc-svc', socketPort(brokerFd));
      await isReady;
    },
    async kill() {
      if (child === undefined) return;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async end() {
      if (child === undefined) return;
      const gone = once(child, 'exit');
      broker.detach('lxc-svc');
      await gone;
    },
    exitOf: (container, pid) =>
      eventually(`exit of ${container}`, PATIENCE_MS, () =>
        exits.find((exit) => exit.container === container && exit.pid === pid),
      ),
    async close() {
      broker.close();
      if (child !== undefined && child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        // One that does not end by itself would keep the tests alive.
        const limit = setTimeout(() => child?.kill('SIGKILL'), PATIENCE_MS);
        await ended;
        clearTimeout(limit);
      }
      rmSync(STORAGE, { recursive: true, force: true });
    },
  };
}

/** The requests that lxc-svc asks of the supervisor. */
const { openSockets, closeSockets } = supervisorContract.requests;
const playedContract = {
  ...supervisorContract,
  requests: { openSockets, closeSockets },
  events: {},
};

function serveSupervisor(channel: Channel, calls: string[]): void {
  channel.serve(playedContract, {
    openSockets: ({ container }) => {
      calls.push(`open ${container}`);
      const folder = join(RUNDIR, 'ctl', container);
      mkdirSync(folder, { recursive: true });
      // As state-svc has made them by now.
      for (const kind of ['user-meta', 'device-meta'])
        mkdirSync(join(RUNDIR, 'meta', container, kind), { recursive: true });
      writeFileSync(join(folder, 'hello'), 'from outside\n');
      return { ok: true, value: { folder } };
    },
    closeSockets: ({ container }) => {
      calls.push(`close ${container}`);
      return { ok: true, value: {} };
    },
  });
  channel.ready();
}

function spawnService(program: string, brokerFd: number): ChildProcess {
  const launch = { service: 'lxc-svc', rundir: RUNDIR, storage: STORAGE, mode: 'appengine', logUid: LOG_UID };
  return spawn('setpriv', [...setprivArguments(lxcContract.privileges, 0), process.execPath, program], {
    stdio: ['ignore', 'pipe', 'pipe', brokerFd],
    env: { PATH: process.env.PATH, [LAUNCH_VARIABLE]: JSON.stringify(launch) },
  });
}

/** Of this tree: part of the names of its control groups. */
function treeId(): string {
  const { dev, ino } = statSync(RUNDIR);
  return createHash('sha256').update(`${RUNDIR} ${dev} ${ino}`).digest('hex').slice(0, 8);
}

/** Below the private /run: what is mounted elsewhere goes when somebody on the machine removes the folder that it is on. */
export function mountsOfOurs(): number {
  const rows = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return rows.filter((row) => row.split(' ')[4]?.startsWith('/run')).length;
}

/** What must not grow: mounts of this namespace, our control groups in every hierarchy, loop devices of this storage. */
export function traces(): { readonly mounts: number; readonly cgroups: number; readonly loops: number } {
  const mounts = mountsOfOurs();
  // It fails when a folder of somebody else's goes while it looks.
  const { stdout: cgroups } = spawnSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `berth.${treeId()}.*`], {
    encoding: 'utf8',
  });
  return { mounts, cgroups: cgroups.split('\n').filter((line) => line.includes('/berth.')).length, loops: loops() };
}

/** A device is gone with its last user: lxc-svc keeps one that it has unmounted for a moment, and udev(7) of the machine looks at a new one. */
function loops(): number {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const own = ownLoops();
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    const isLeaving = own.some(({ name, clearsItself }) => clearsItself && !mounts.includes(` ${name} `));
    if (!isLeaving || performance.now() > end) return own.length;
  }
}

function ownLoops(): readonly { readonly name: string; readonly clearsItself: boolean }[] {
  const listed = ['--list', '--noheadings', '--output', 'NAME,AUTOCLEAR,BACK-MAJ:MIN'];
  // By file system: other trees have the same paths in namespaces of their own.
  const { dev } = statSync(STORAGE);
  // makedev(3).
  const number = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  const rows = execFileSync('losetup', listed, { encoding: 'utf8' }).split('\n');
  return rows.flatMap((row) => {
    const [name = '', autoclear, backing] = row.trim().split(/\s+/);
    return backing === number ? [{ name, clearsItself: autoclear === '1' }] : [];
  });
}
