// One qemu process: a machine that is emulated throughout, with a console, a monitor and no way out to any network.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../test/kit/eventually.ts';

export interface Disks {
  readonly root: string;
  /** Berth's layer, LAYER_BYTES long. */
  readonly layer: string;
  /** STORAGE_BYTES long. */
  readonly storage: string;
}

export interface MachineParts {
  readonly kernel: string;
  readonly initrd: string;
  readonly disks: Disks;
  /** Of this machine, that leads to the guest's sshd. */
  readonly sshPort: number;
  /** For its monitor. */
  readonly folder: string;
  /** A state that `saveState` wrote; without it, or where the file is not there, it boots from the kernel on. */
  readonly state?: string;
}

export interface Machine {
  /** What its console said. */
  readonly console: () => string;
  /** It ended with its power switched off, and not for another boot. */
  readonly isPoweredDown: () => boolean;
  readonly isOff: () => boolean;
  readonly ended: () => Promise<void>;
  /** Writes what it is at this moment to a file, and ends it. */
  saveState(path: string): Promise<void>;
  cut(): Promise<void>;
  /** Resolves when so much time is over, without that in which qemu waited for a processor; or when it ended. */
  worked(ms: number): Promise<void>;
}

/** A saved state knows the sizes of disks. */
export const LAYER_BYTES = 96 * 2 ** 20;
export const STORAGE_BYTES = 384 * 2 ** 20;
const MEMORY_MEBIBYTES = 768;
const SAVE_MS = 120_000;
const WORKED_LOOK_MS = 10;
/** What the guest's initrd says before it looks at anything that changes from boot to boot. */
/** What the kernel says last before it switches the power off; before a reboot it says something else, and before a watchdog's reset nothing. */
const POWER_DOWN = 'reboot: Power down';
export const WAITS = 'berth-vm: waits';

/** `goesOn`: whether the guest is told to go on where it waits, at this and every later boot. */
export function startMachine(parts: MachineParts, goesOn: boolean): Machine {
  const monitor = join(parts.folder, 'monitor');
  const incoming = parts.state !== undefined && existsSync(parts.state) ? ['-incoming', `exec:cat ${parts.state}`] : [];
  // It ends with whoever started it, however that ends.
  const child: ChildProcess = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...machineArguments(parts, monitor), ...incoming],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let said = '';
  let waited = 0;
  const go = (): void => {
    child.stdin?.write(`go ${randomUUID()} ${Math.floor(Date.now() / 1000)}\n`);
  };
  child.stdin?.on('error', () => undefined);
  if (goesOn && incoming.length > 0) go();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const waits = said.split(WAITS).length - 1;
      if (!goesOn || waits === waited) return;
      waited = waits;
      go();
    });
  }
  child.once('error', (error) => {
    said += error.message;
  });
  const isOff = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  const ended = (): Promise<void> =>
    new Promise((resolve) => {
      if (isOff()) resolve();
      else child.once('exit', () => resolve());
    });
  return {
    console: () => said,
    isPoweredDown: () => said.includes(POWER_DOWN),
    isOff,
    ended,
    async saveState(path) {
      const client = connect(monitor);
      let answers = '';
      client.on('data', (chunk: Buffer) => {
        answers += chunk.toString();
      });
      client.write(`migrate "exec:cat >${path}"\ninfo migrate\n`);
      await eventually('the state of the machine', SAVE_MS, () => /Migration status: (completed|failed)/.test(answers));
      client.destroy();
      if (!answers.includes('Migration status: completed'))
        throw new Error(`qemu could not save its state: ${answers}`);
      child.kill('SIGKILL');
      await ended();
    },
    async cut() {
      child.kill('SIGKILL');
      await ended();
    },
    async worked(ms) {
      const worked = (): number => performance.now() - waitedMs(child.pid);
      const end = worked() + ms;
      while (!isOff() && worked() < end) await delay(WORKED_LOOK_MS);
    },
  };
}

/**
 * How long the thread that ran most, which emulates, was ready to run and did not (kernel: Documentation/scheduler/sched-stats.rst); 0 where the
 * kernel does not count it. Threads wait side by side: what all of them waited may be more than the time that went by.
 */
function waitedMs(pid: number | undefined): number {
  const folder = `/proc/${pid}/task`;
  let [mostRanNs, itsWaitNs] = [0, 0];
  try {
    for (const thread of readdirSync(folder)) {
      const [ranNs = 0, waitNs = 0] = readFileSync(join(folder, thread, 'schedstat'), 'utf8')
        .split(' ')
        .map(Number);
      if (ranNs > mostRanNs) [mostRanNs, itsWaitNs] = [ranNs, waitNs];
    }
  } catch {
    // Without the file, or at the end of a thread.
  }
  return itsWaitNs / 1e6;
}

function machineArguments({ kernel, initrd, disks, sshPort }: MachineParts, monitor: string): readonly string[] {
  const disk = (file: string, more: string): readonly string[] => [
    '-drive',
    `file=${file},if=virtio,format=raw,${more}`,
  ];
  return [
    // One instruction is one nanosecond of the guest's time: how busy this machine is makes a test slower, and its device not.
    '-M',
    'q35',
    '-accel',
    'tcg,thread=single',
    '-icount',
    'shift=0,sleep=on',
    '-smp',
    '1',
    '-cpu',
    'Nehalem,+rdrand',
    '-m',
    String(MEMORY_MEBIBYTES),
    '-display',
    'none',
    '-no-user-config',
    '-nodefaults',
    '-serial',
    'stdio',
    '-monitor',
    `unix:${monitor},server=on,wait=off`,
    '-kernel',
    kernel,
    '-initrd',
    initrd,
    '-append',
    'console=ttyS0 panic=-1 loglevel=4 mitigations=off random.trust_cpu=on tsc=reliable nokaslr nowatchdog audit=0 apparmor=0 cryptomgr.notests',
    ...disk(disks.root, 'readonly=on'),
    ...disk(disks.layer, 'readonly=on'),
    // What the guest has written is in this machine's page cache, which qemu's end does not touch; what is only in the guest's memory is lost.
    ...disk(disks.storage, 'cache=unsafe'),
    '-netdev',
    `user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:${sshPort}-:22`,
    '-device',
    'virtio-net-pci,netdev=n0',
    '-device',
    'i6300esb',
    '-action',
    'watchdog=reset,reboot=shutdown',
  ];
}
