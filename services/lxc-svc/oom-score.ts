// What containers and hooks count for when memory is short (proc_pid_oom_score_adj(5)): more than Berth, whose score they would inherit. That is as low
// as the supervisor may have it (supervisor/oom-score.ts), and then they count as much as any process of the machine.
import { readFileSync, writeFileSync } from 'node:fs';
import { adding } from './config-draft.ts';

/** In thousandths of all memory, as the kernel counts: nobody ends us for a process that has none. */
const BEFORE_US = 900;
const MAX = 1000;
const KEY = 'lxc.proc.oom_score_adj';

/** Of containers and hooks, by that of this process. */
export function othersScore(path = '/proc/self/oom_score_adj'): number {
  return Math.min(MAX, Math.max(0, Number(readFileSync(path, 'utf8')) + BEFORE_US));
}

/** Of a container's init, before it is another program; its own configuration may say otherwise. */
export const containerScore = adding(({ oomScore }, { entries }) => {
  const own = entries.findLast(({ key }) => key === KEY || key === 'lxc.proc');
  return own === undefined || own.value === '' ? [{ key: KEY, value: String(oomScore) }] : [];
});

/** Of a process that was just started, and all that it starts from now on. */
export function comeBeforeUs(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(othersScore()));
  } catch {
    // It ended by itself this very moment.
  }
}
