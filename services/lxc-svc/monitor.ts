// LXC's monitor: the process between init and the machine that `lxc-start -d` leaves behind. It knows the init's exit status, so its end,
// not the init's, is the end of a run. A connection to its command socket (LXC: src/lxc/commands.c) ends exactly then.
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { runLight } from '../../shared/exec/run-light.ts';
import { connectAbstract } from '../../shared/kernel/abstract-socket.ts';
import { KernelError } from '../../shared/kernel/libc.ts';
import { realPlace } from '../../shared/kernel/real-place.ts';
import { commandSocketNames } from './command-socket.ts';
import { withMonitor } from './monitor-networks.ts';
import {
  childrenOf,
  commandLine,
  findProcesses,
  type KnownProcess,
  kill,
  pidNamespace,
  startTicksOf,
} from './process-table.ts';

const INFO_TIMEOUT_MS = 5_000;

/** `[lxc monitor] <lxcPath> <container>`, or lxc-start's own arguments while it has not renamed itself. */
export function isMonitor(pid: number, lxcPath: string, container: string): boolean {
  const command = commandLine(pid).join(' ');
  const words = command.split(' ');
  // Builds before this one gave LXC the path that they were given, which may lead to ours.
  const isOurs = command.includes(lxcPath) || words.some((word) => word.startsWith('/') && realPlace(word) === lxcPath);
  return /lxc monitor|lxc-start/.test(command) && words.includes(container) && isOurs;
}

/** The living monitor that LXC's pid file names. */
export function monitorOf(pidFile: string, lxcPath: string, container: string): number | undefined {
  let pid = 0;
  try {
    pid = Number(readFileSync(pidFile, 'utf8').trim());
  } catch {
    // LXC removes it at the end of a run.
  }
  // 0 would be our own process group to kill(2), 1 the machine's init.
  return pid > 1 && isMonitor(pid, lxcPath, container) ? pid : undefined;
}

/** The monitor's children in a pid namespace of their own: an init, never a hook. */
function initsOf(monitor: number): KnownProcess[] {
  const own = pidNamespace(monitor);
  return childrenOf(monitor).filter(({ pid }) => {
    const namespace = pidNamespace(pid);
    return namespace !== undefined && namespace !== own;
  });
}

/** The init under a monitor, undefined when it has none (any more). */
export async function initOf(monitor: number, lxcPath: string, container: string): Promise<KnownProcess | undefined> {
  const [init] = initsOf(monitor);
  if (init !== undefined || !isMonitor(monitor, lxcPath, container)) return init;
  // A container that keeps the host's pid namespace: LXC knows.
  const args = ['-P', lxcPath, '-n', container, '-p', '-H'];
  const asked = withMonitor(monitor, () => runLight('lxc-info', args, INFO_TIMEOUT_MS, { keepsOutput: true }));
  const pid = Number((await asked)?.stdout.trim());
  // It prints nothing for a container that does not run, and Number('') is 0.
  const startTicks = pid > 1 ? startTicksOf(pid) : undefined;
  return startTicks === undefined ? undefined : { pid, startTicks };
}

/** An `lxc-start` that still waits for its container: of an earlier service that was killed in the middle of a start. */
export function startClients(lxcPath: string, container: string): number[] {
  return findProcesses((command) => {
    const [program = ''] = command;
    return (
      // The arguments of a container's init come after ours.
      program.endsWith('lxc-start') &&
      command[command.indexOf('-P') + 1] === lxcPath &&
      command[command.indexOf('-n') + 1] === container
    );
  });
}

const CONNECT_RETRY_MS = 20;
/** Between looks at a monitor that closed its socket and tears down. */
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 50;
/** A monitor that did not end by then is stuck; milliseconds after its socket closed. */
const TEARDOWN_MS = 5_000;
/** Between looks when nobody answers on the socket of a living monitor. */
const SLOW_LOOK_MS = 1_000;

function connect(monitor: number, lxcPath: string, container: string): Socket | undefined {
  for (const name of commandSocketNames(lxcPath, container)) {
    try {
      const fd = withMonitor(monitor, () => connectAbstract(name));
      if (fd !== undefined) return new Socket({ fd, readable: true, writable: true });
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
  return undefined;
}

function untilClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.resume();
  });
}

/**
 * Resolves when the monitor of a run is gone, within milliseconds of it. A container that calls reboot(2) is started again by its own
 * monitor: that is the end of the run as well, and what it started is killed.
 */
export async function monitorEnd(monitor: number, init: number, lxcPath: string, container: string): Promise<void> {
  const lives = (): boolean => isMonitor(monitor, lxcPath, container);
  for (let tries = 0; ; tries += 1) {
    const socket = connect(monitor, lxcPath, container);
    if (socket === undefined) {
      if (!lives()) return;
      await delay(tries < 10 ? CONNECT_RETRY_MS : SLOW_LOOK_MS);
      continue;
    }
    await untilClosed(socket);
    const closedAt = performance.now();
    for (let pauseMs = FIRST_LOOK_MS; lives(); pauseMs = Math.min(pauseMs * 2, LAST_LOOK_MS)) {
      const restarted = initsOf(monitor).some(({ pid }) => pid !== init);
      if (restarted || performance.now() - closedAt > TEARDOWN_MS) kill(monitor);
      await delay(pauseMs);
    }
    return;
  }
}
