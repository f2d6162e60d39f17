// Whom the kernel ends when memory is short: it takes the largest process, which is one of ours as soon as containers have many small ones, and
// with the supervisor the whole tree. In: the score of this process (proc_pid_oom_score_adj(5)). Out: it is so low that everybody else comes
// first, also for services, which inherit it.
import { readFileSync, writeFileSync } from 'node:fs';

/** -1000 is never: then a fault of ours that takes all memory would cost the machine. */
export const LAST = -900;

/**
 * To be called before any service runs. Where it may not be set, as for a guest without CAP_SYS_RESOURCE, nothing is lost against containers: lxc-svc has them
 * come before us in any case. Never throws.
 */
export function comeLast(path = '/proc/self/oom_score_adj'): void {
  try {
    if (Number(readFileSync(path, 'utf8')) > LAST) writeFileSync(path, `${LAST}\n`);
  } catch {
    // It stays as it is.
  }
}
