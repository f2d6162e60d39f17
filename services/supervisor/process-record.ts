// What /proc tells of a service's process.
import { textIfThere } from '../../shared/kernel/text-if-there.ts';

/** Whether job control or SIGSTOP holds the process: state `T` in the third field of /proc/<pid>/stat (proc(5)). */
export function isStopped(pid: number): boolean {
  const stat = textIfThere(`/proc/${pid}/stat`);
  // The second field is the command in parentheses and may hold anything, so count from its end.
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'T';
}

/**
 * Milliseconds that its first thread, on which JavaScript runs, was ready to run and had no processor: the second field of /proc/<pid>/schedstat
 * (Documentation/scheduler/sched-stats.rst). 0 where the kernel does not count, or the process is gone.
 */
export function waitedForProcessorMs(pid: number): number {
  const nanoseconds = textIfThere(`/proc/${pid}/schedstat`).split(' ')[1];
  return nanoseconds === undefined ? 0 : Number(nanoseconds) / 1_000_000;
}

/** Proportional set size in bytes, 0 for a process that is gone. */
export function proportionalMemory(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(textIfThere(`/proc/${pid}/smaps_rollup`))?.[1];
  return kib === undefined ? 0 : Number(kib) * 1024;
}
