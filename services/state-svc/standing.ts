// After a restart: what a container is, and what has to follow, from what lxc-svc sees and what was written down. Pure.
import type { ContainerPlan } from '../../shared/revision/revision.ts';
import type { ExitStatus } from '../../shared/schema/exit.ts';
import type { Intent } from './intent-store.ts';

export interface Run {
  readonly pid: number;
  readonly startedMs: number;
  /** How long it had run when lxc-svc told so, whatever the clock was set to meanwhile. */
  readonly upMs: number;
}

/** lxc-svc's word on one container. */
export interface Actual {
  readonly container: string;
  readonly revision: string;
  readonly mounted: boolean;
  readonly running?: Run | undefined;
  readonly exit?: { readonly pid: number; readonly status: ExitStatus; readonly atMs: number } | undefined;
}

export type Standing =
  /** Nothing of it is there, or its start is to go on: its group's turn starts it. `ranBefore`: since the tree came up, as far as can be told. */
  | { readonly kind: 'fresh'; readonly firstOfThisBoot: boolean; readonly ranBefore: boolean }
  /** Goal MOUNTED, and mounted. */
  | { readonly kind: 'mounted' }
  /** Runs and stays as it is. */
  | { readonly kind: 'running'; readonly run: Run; readonly ready: boolean }
  /** Runs although a restart of this very run was accepted. */
  | { readonly kind: 'restarting'; readonly run: Run }
  /** Stopped by the user; `leftovers`: something of it is there still. */
  | { readonly kind: 'userStopped'; readonly run: Run | undefined; readonly leftovers: boolean }
  /** Its end was counted already; auto-recovery waits anew. */
  | { readonly kind: 'recovering'; readonly delayMs: number }
  /** Its end is to be judged now; `sameLife`: it ended beside this tree, and not beside one before. */
  | { readonly kind: 'ended'; readonly sameLife: boolean };

/**
 * `actual` undefined: lxc-svc knows no such container. `attached`: net-svc holds a namespace for it. `sameLife`: the tree has not
 * restarted since `intent` was written.
 */
export function standingOf(
  plan: ContainerPlan,
  intent: Intent,
  actual: Actual | undefined,
  attached: boolean,
  sameLife = false,
): Standing {
  const run = actual?.running;
  const mounted = actual?.mounted === true;
  if (intent.userStopped && plan.restartPolicy === 'container') {
    return { kind: 'userStopped', run, leftovers: mounted || attached || run !== undefined };
  }
  if (run !== undefined) {
    if (intent.pendingStart?.replacesPid === run.pid) return { kind: 'restarting', run };
    // 0: the signal came while its pid was not known: its start was under way, or its revision was refused.
    const signalled = intent.readyPid === 0 || intent.readyPid === run.pid;
    return { kind: 'running', run, ready: signalled && plan.statusGoal === 'READY' };
  }
  // Whoever ended by itself is mounted still: only a stop unmounts, and then its exit record says nothing. A start of auto-recovery's
  // that failed leaves nothing mounted, and looks as what was not started since the tree was.
  const { pendingStart, recoveryDelayMs } = intent;
  const hasEnded = mounted && actual?.exit !== undefined;
  if (pendingStart === null && recoveryDelayMs !== null && (hasEnded || (sameLife && !mounted))) {
    return { kind: 'recovering', delayMs: recoveryDelayMs };
  }
  if (pendingStart === null && hasEnded) return { kind: 'ended', sameLife };
  if (mounted && plan.statusGoal === 'MOUNTED') return { kind: 'mounted' };
  const firstOfThisBoot = !mounted && !sameLife;
  return { kind: 'fresh', firstOfThisBoot, ranBefore: !firstOfThisBoot && hasRun(intent, actual) };
}

/** Since its counters began: what is there of it, or was counted, is of an earlier run. */
function hasRun({ restarts, retries, pendingStart }: Intent, actual: Actual | undefined): boolean {
  return restarts > 0 || retries > 0 || (pendingStart?.replacesPid ?? 0) > 0 || actual?.exit !== undefined;
}

/** Names of a list that was filled with every revision since the mount, and cut at its beginning: the true one may be missing. */
const CUT_LIST = 8;

/**
 * Containers and namespaces that the revision does not account for; they are stopped and taken away. `carried`: containers that run
 * since an earlier revision, which has them exactly as this one.
 */
export function strangers(
  revision: string,
  carried: Readonly<Record<string, readonly string[]>>,
  planned: ReadonlySet<string>,
  containers: readonly Actual[],
  attachments: readonly string[],
): readonly string[] {
  const isOurs = (each: Actual): boolean => {
    const sources = carried[each.container] ?? [];
    return each.revision === revision || sources.includes(each.revision) || sources.length >= CUT_LIST;
  };
  const foreign = containers.filter((each) => !planned.has(each.container) || !isOurs(each));
  // A container that left only an exit record behind has nothing to be taken away.
  const present = foreign.filter((each) => each.mounted || each.running !== undefined).map((each) => each.container);
  return [...new Set([...present, ...attachments.filter((name) => !planned.has(name))])].sort();
}
