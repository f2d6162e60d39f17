// Ends a run: the polite signal, a grace, SIGKILL.
import { setTimeout as delay } from 'node:timers/promises';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import type { Run } from './container-runs.ts';
import { haltSignal } from './halt-signal.ts';
import { blockedSignals, isAlive, kill } from './process-table.ts';
import type { ExitRecord } from './record-store.ts';
import { StepFailure } from './step-failure.ts';

/** After SIGKILL the kernel takes the processes away, then LXC its part. */
const KILLED_WITHIN_MS = 10_000;

async function endsWithin(run: Run, ms: number): Promise<ExitRecord | undefined> {
  const late = new AbortController();
  const timeout = delay(ms, undefined, { signal: late.signal, ref: false }).catch(() => undefined);
  const exit = await Promise.race([run.ended, timeout]);
  late.abort();
  return exit;
}

/** Its init where that is there still: between its end and that of LXC's monitor its number may be somebody else's. */
function isThere({ pid, startTicks }: Run): boolean {
  return startTicks !== undefined && isAlive(pid, startTicks);
}

/** `entries`: of its configuration. Throws StepFailure when it survives SIGKILL. */
export async function endRun(run: Run, entries: readonly LxcEntry[], graceMs: number): Promise<ExitRecord> {
  if (graceMs > 0 && isThere(run)) kill(run.pid, haltSignal(entries, blockedSignals(run.pid)));
  const polite = graceMs > 0 ? await endsWithin(run, graceMs) : undefined;
  if (polite !== undefined) return polite;
  if (isThere(run)) kill(run.pid);
  const forced = await endsWithin(run, KILLED_WITHIN_MS);
  if (forced === undefined)
    throw new StepFailure('kill', `the run of pid ${run.pid} is not over ${KILLED_WITHIN_MS} ms after SIGKILL`);
  return forced;
}
