// A small machine inside the machine: mount, network, pid, uts and ipc namespaces with an uplink to a simulated outside host.
// Nothing in it touches the machine's network, and everything in it ends with its first process, however that happens.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupsOf, removeCgroups } from './cgroups.ts';

/** Documentation addresses (RFC 5737, TEST-NET-3): they exist nowhere else. */
export const OUTSIDE_ADDRESS = '203.0.113.1';
export const UPLINK_ADDRESS = '203.0.113.2';
export const OUTSIDE_PORT = 8000;

export interface SandboxOptions {
  /** Folder of the bundles, made visible inside as PROGRAM_INSIDE. */
  readonly program: string;
  /** Made visible inside as STORAGE_INSIDE. */
  readonly storage: string;
}

export interface Sandbox {
  /** Of the sandbox's first process, as this machine counts. */
  readonly pid: number;
  /** A folder of this machine that is also inside, under the same path: its sockets can be reached from both. Removed at the end. */
  readonly shared: string;
  /** The command and arguments that run `command` inside. */
  enter(command: readonly string[]): readonly [string, readonly string[]];
  /** Sends a signal to the command itself, where `child` was started with what `enter` answered: nsenter stands between. */
  signal(child: ChildProcess, signal: NodeJS.Signals): void;
  /** Source addresses of the requests that the outside host had so far, oldest first. */
  seenOutside(): readonly string[];
  /** Ends everything inside and takes away what the kernel leaves. Resolves when nothing is left. */
  close(): Promise<void>;
}

export const PROGRAM_INSIDE = '/run/berth/program';
export const STORAGE_INSIDE = '/run/berth/storage';
export const NODE_INSIDE = '/run/berth/node';

// $1 program, $2 storage, $3 node, $4 shared folder. The shell stays as pid 1 and reaps.
// Services run as users of their own, so the caller's umask must not close what is made here.
const SETUP = `
set -e
umask 022
mkdir -p "$4/hold"
mount -t tmpfs -o mode=755 berth-sandbox "$4/hold"
mkdir "$4/hold/program" "$4/hold/storage" "$4/hold/cgroup"
: > "$4/hold/node"
mount --bind "$1" "$4/hold/program"
mount --bind "$2" "$4/hold/storage"
mount --bind "$3" "$4/hold/node"
mount --rbind /sys/fs/cgroup "$4/hold/cgroup"
mount -t tmpfs -o mode=755 berth-sandbox /run
mkdir /run/berth /run/netns
mount --move "$4/hold" /run/berth
mount -t sysfs sysfs /sys
mount --move /run/berth/cgroup /sys/fs/cgroup
ip link set lo up
ip netns add outside
ip link add uplink type veth peer name eth0 netns outside
for all in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e "$all" ] || echo 1 > "$all"; done
ip address add ${UPLINK_ADDRESS}/24 dev uplink
ip link set uplink up
ip -n outside link set lo up
ip -n outside address add ${OUTSIDE_ADDRESS}/24 dev eth0
ip -n outside link set eth0 up
ip route add default via ${OUTSIDE_ADDRESS}
ip netns exec outside /run/berth/node /run/berth/program/outside-host.js ${OUTSIDE_ADDRESS} ${OUTSIDE_PORT} &
wait
while :; do sleep 3600 & wait $!; done
`;

/** How long namespaces, mounts and control groups of a dead sandbox may take to be gone. */
const GONE_MS = 60_000;

/** In memory where there is such a place, as a device's /run is: what is written there is synced at no cost. */
function sharedParent(): string {
  const memory = '/dev/shm';
  return existsSync(memory) ? memory : tmpdir();
}

export async function openSandbox({ program, storage }: SandboxOptions): Promise<Sandbox> {
  const shared = mkdtempSync(join(sharedParent(), 'berth-'));
  const child = spawn(
    'setpriv',
    [
      // Whoever opened it may be killed; nobody would be left to close it.
      '--pdeathsig=KILL',
      '--',
      'unshare',
      '--mount',
      '--net',
      '--uts',
      '--ipc',
      '--pid',
      '--fork',
      '--kill-child=SIGKILL',
      '--mount-proc',
      '--propagation',
      'private',
      'sh',
      '-c',
      SETUP,
      'berth-sandbox',
      program,
      storage,
      process.execPath,
      shared,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
  );
  const seen: string[] = [];
  try {
    await untilListening(child, seen);
    // Its services run as users of their own.
    chmodSync(shared, 0o755);
    const pid = firstChildOf(child.pid ?? 0);
    return {
      pid,
      shared,
      enter: (command) => [
        'nsenter',
        [`--target=${pid}`, '--mount', '--net', '--uts', '--ipc', '--pid', '--', ...command],
      ],
      signal: (entered, signal) => void until(() => passOn(entered, signal)),
      seenOutside: () => [...seen],
      close: () => close(child, shared),
    };
  } catch (error) {
    await close(child, shared);
    throw error;
  }
}

/** The outside host is the last thing that the setup starts, so its first line means that all of it stands. */
function untilListening(child: ChildProcess, seen: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const { stdout } = child;
    if (stdout === null) throw new Error('the sandbox has no output');
    createInterface({ input: stdout }).on('line', (line) => {
      if (line === 'listening') resolve();
      else seen.push(line.replace('request from ', ''));
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the sandbox could not be set up (unshare ended with ${code})`)));
  });
}

/** False: nsenter has not started the command yet. True also when it has ended. */
function passOn({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): boolean {
  if (pid === undefined || exitCode !== null || signalCode !== null) return true;
  try {
    process.kill(firstChildOf(pid), signal);
    return true;
  } catch {
    // Not there yet, or between its end and nsenter's.
    return false;
  }
}

function firstChildOf(pid: number): number {
  const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  const number = Number(child);
  // kill(2) gives 0 and 1 meanings of their own.
  if (!(number > 1)) throw new Error(`process ${pid} has no child`);
  return number;
}

async function close(child: ChildProcess, shared: string): Promise<void> {
  const { pid } = child;
  if (pid !== undefined && child.exitCode === null && child.signalCode === null) {
    const held = holdersOf(pid);
    child.kill('SIGKILL');
    // One that was stopped with its command would not notice the end of that.
    for (const holder of held) kill(holder);
    await until(() => (child.exitCode !== null || child.signalCode !== null) && held.every(isDead));
  }
  removeCgroups(cgroupsOf(join(shared, 'run')));
  rmSync(shared, { recursive: true, force: true });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it went with the others.
  }
}

/**
 * Who holds the mounts of a sandbox, whose loop devices go with the last of them: all inside, and the nsenter(1) of each command, which
 * is not in its pid namespace and ends a moment after its command. None of one that has not got so far.
 */
function holdersOf(unshare: number): readonly number[] {
  const [namespace, own] = [mountNamespaceOf(unshare), mountNamespaceOf(process.pid)];
  if (namespace === undefined || namespace === own) return [];
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter((pid) => mountNamespaceOf(pid) === namespace);
}

function mountNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    // Gone meanwhile, or a zombie, which has none any more.
    return undefined;
  }
}

/** Also when the machine's init has not reaped it yet: as a zombie it has no namespaces any more (pid_namespaces(7)). */
function isDead(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.startsWith('Z') === true;
  } catch {
    return true;
  }
}

/** Looks again until it holds; the kernel takes namespaces and control groups down in its own time and tells nobody. */
async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + GONE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`the sandbox is not gone after ${GONE_MS} ms`);
    await delay(5);
  }
}
