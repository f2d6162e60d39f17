// What /proc tells about processes: whether one lives, since when, whose child it is.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { sinceBootMs } from '../../shared/time/boot-clock.ts';

/** USER_HZ is 100 on every architecture that Linux has kept (asm-generic/param.h). */
const MS_PER_TICK = 10;

interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  /** Clock ticks after boot. */
  readonly startTicks: number;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // ENOENT, or ESRCH when it ends while it is read.
    return undefined;
  }
}

function statOf(pid: number): ProcessStat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The command's name may contain blanks and brackets: count from its last bracket (proc(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', parent: Number(fields[1]), startTicks: Number(fields[19]) };
}

/** Undefined: no such process. */
export function startTicksOf(pid: number): number | undefined {
  return statOf(pid)?.startTicks;
}

/** The process that had these start ticks is there and no zombie. Without ticks: whichever has the number. */
export function isAlive(pid: number, startTicks?: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.state !== 'Z' && (startTicks === undefined || stat.startTicks === startTicks);
}

/** How long a process with these ticks has run, whatever the clock was set to meanwhile; now and then off by a tick. */
export function upMs(startTicks: number): number {
  return Math.max(0, Math.round(sinceBootMs() - startTicks * MS_PER_TICK));
}

/** Wall clock of that many ticks after boot, as the clock goes now. */
export function startedMs(startTicks: number, nowMs: number): number {
  return nowMs - upMs(startTicks);
}

/** One that will not be mistaken for a later one with its number. */
export interface KnownProcess {
  readonly pid: number;
  readonly startTicks: number;
}

/** Children of a process, zombies left out. */
export function childrenOf(pid: number): KnownProcess[] {
  const listed = read(`/proc/${pid}/task/${pid}/children`);
  // Kernels without CONFIG_PROC_CHILDREN: look at everybody.
  const candidates =
    listed === undefined
      ? allPids()
      : listed
          .split(' ')
          .filter((text) => text !== '')
          .map(Number);
  return candidates.flatMap((child) => {
    const stat = statOf(child);
    const isChild = stat !== undefined && stat.parent === pid && stat.state !== 'Z';
    return isChild ? [{ pid: child, startTicks: stat.startTicks }] : [];
  });
}

function allPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/**
 * Empty also in another pid namespace, where a container's processes are: they may have their arguments in a file of FUSE, which answers
 * when it likes.
 */
export function commandLine(pid: number): string[] {
  const namespace = pidNamespace(pid);
  if (namespace !== undefined && namespace !== pidNamespace('self')) return [];
  return read(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
}

/** All processes whose command line meets the condition. */
export function findProcesses(matches: (command: readonly string[]) => boolean): number[] {
  return allPids().filter((pid) => matches(commandLine(pid)));
}

/** A bit for each signal, signal 1 the lowest. */
export interface SignalMasks {
  readonly blocked: bigint;
  readonly caught: bigint;
}

/** All 0 when there is no such process. */
export function signalMasks(pid: number): SignalMasks {
  const status = read(`/proc/${pid}/status`) ?? '';
  const mask = (name: string): bigint => {
    const hex = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return hex === undefined ? 0n : BigInt(`0x${hex}`);
  };
  return { blocked: mask('SigBlk'), caught: mask('SigCgt') };
}

/** Its identity; undefined: no such process. */
export function pidNamespace(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** SIGKILL unless told otherwise; somebody who is gone already is no failure. Throws for pids below 2: kill(2) takes them for whole groups. */
export function kill(pid: number, signal = 9): void {
  if (!(pid >= 2)) throw new Error(`refusing to signal pid ${pid}`);
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
