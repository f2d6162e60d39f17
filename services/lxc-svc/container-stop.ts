// Ends a run: the polite signal, again where the init did not listen yet, a grace, SIGKILL.
import { setTimeout as delay } from 'node:timers/promises';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import type { Run } from './container-runs.ts';
import { haltSignal } from './halt-signal.ts';
import { isAlive, kill, signalMasks } from './process-table.ts';
import type { ExitRecord } from './record-store.ts';
import { StepFailure } from './step-failure.ts';

/** After SIGKILL the kernel takes the processes away, then LXC its part. */
const KILLED_WITHIN_MS = 10_000;
/** Nearly everybody is gone by then who was killed; who is not may be frozen. */
const FROZEN_MS = 250;
/** Between looks whether an init listens by now. */
const LISTENS_LOOK_MS = 50;

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

/** What asks this init to end, and whether it would hear that now: what a container's init neither catches nor blocks is lost on it (pid_namespaces(7)). */
function haltNow({ pid }: Run, entries: readonly LxcEntry[]): { readonly signal: number; readonly isHeard: boolean } {
  const { blocked, caught } = signalMasks(pid);
  const signal = haltSignal(entries, blocked);
  return { signal, isHeard: (((blocked | caught) >> BigInt(signal - 1)) & 1n) === 1n };
}

/** One that has only just begun is asked again as soon as it listens, and nobody twice who may have heard it. Answers what leaves it at that. */
function askToEnd(run: Run, entries: readonly LxcEntry[]): () => void {
  const { signal, isHeard } = haltNow(run, entries);
  kill(run.pid, signal);
  // It may have begun to listen right before the signal.
  const mayHaveHeard = isHeard || haltNow(run, entries).isHeard;
  if (mayHaveHeard) return () => undefined;
  const timer = setInterval(() => {
    const now = isThere(run) ? haltNow(run, entries) : undefined;
    if (now?.isHeard === false) return;
    clearInterval(timer);
    if (now !== undefined) kill(run.pid, now.signal);
  }, LISTENS_LOOK_MS);
  return () => clearInterval(timer);
}

/** `entries`: of its configuration; `thaw`: whoever is frozen in its control groups. Throws StepFailure when it survives SIGKILL. */
export async function endRun(
  run: Run,
  entries: readonly LxcEntry[],
  graceMs: number,
  thaw: () => void,
): Promise<ExitRecord> {
  if (graceMs > 0) {
    const enough = isThere(run) ? askToEnd(run, entries) : () => undefined;
    const polite = await endsWithin(run, graceMs);
    enough();
    if (polite !== undefined) return polite;
  }
  if (isThere(run)) kill(run.pid);
  const killed = await endsWithin(run, FROZEN_MS);
  if (killed !== undefined) return killed;
  thaw();
  const forced = await endsWithin(run, KILLED_WITHIN_MS);
  if (forced === undefined)
    throw new StepFailure('kill', `the run of pid ${run.pid} is not over ${KILLED_WITHIN_MS} ms after SIGKILL`);
  return forced;
}
