// Taking a container from where it stands when state-svc starts, without touching what is right.
import { type ContainerCore, setRun } from './container-core.ts';
import { judge, restart, stop, tellOfRow, tellOfWait } from './container-life.ts';
import { type Intent, NO_INTENT } from './intent-store.ts';
import type { Actual, Run, Standing } from './standing.ts';
import { replumb } from './start-pipeline.ts';

/** Once, before anything else. Resolves when the container's row is true. */
export async function adopt(core: ContainerCore, standing: Standing, actual: Actual | undefined): Promise<void> {
  const { record } = core;
  const exit = actual?.exit;
  record.adopted = true;
  record.mountedFrom = actual?.revision;
  // Of the run before, where another one is on or comes.
  const isOn = standing.kind === 'running' || standing.kind === 'restarting' || standing.kind === 'recovering';
  if (exit !== undefined) record.exit = { status: exit.status, atMs: exit.atMs };
  else if (isOn) record.exit = core.intent().lastExit;
  record.tried = standing.kind !== 'fresh';
  if (standing.kind !== 'fresh' || standing.ranBefore) record.runs = 1;
  switch (standing.kind) {
    case 'fresh':
      // Counters belong to the time since the tree came up.
      return standing.firstOfThisBoot ? core.remember(NO_INTENT) : undefined;
    case 'mounted':
      core.apply('mounted');
      return;
    case 'running':
      return adoptRun(core, standing.run, standing.ready, { pendingStart: null });
    case 'restarting':
      await adoptRun(core, standing.run, false);
      return restart(core);
    case 'userStopped':
      if (standing.run !== undefined) setRun(core, standing.run);
      if (standing.leftovers) stop(core, () => undefined);
      else core.apply('ended');
      return;
    case 'recovering':
      record.recoveryDelayMs = standing.delayMs;
      tellOfWait(core, exit?.status);
      core.apply('crashed');
      return;
    case 'ended':
      judge(core, exit?.status ?? { kind: 'unknown' }, { pid: exit?.pid, isOld: !standing.sameLife });
      return;
  }
}

/** Its status is true when this returns, before the first wait: a signal that comes now must meet it. `done`: what is not meant any more. */
async function adoptRun(core: ContainerCore, run: Run, ready: boolean, done: Partial<Intent> = {}): Promise<void> {
  const { plan, record } = core;
  setRun(core, run);
  // What has lived for so long is stable, or was when its goal was met.
  if (run.upMs < (plan.autoRecovery?.stableTimeoutSeconds ?? 0) * 1000) tellOfRow(core);
  for (const event of ['mounted', 'starting', 'started'] as const) core.apply(event);
  if (ready) core.apply('signalled');
  // When it became what it is, as near as anybody knows: the events above only say when that was learnt. A clock may have been set back.
  record.sinceMs = Math.min(record.sinceMs, run.startedMs);
  core.context.log.info(`container ${plan.name}: adopted, its init runs as pid ${run.pid}`);
  const known: Partial<Intent> = { ...done, recoveryDelayMs: null };
  if (ready) known.readyPid = run.pid;
  await core.remember(known);
  await learnNetwork(core, run);
}

const NETWORK_UNKNOWN = 'NETWORK_UNKNOWN';

async function learnNetwork(core: ContainerCore, run: Run): Promise<void> {
  const { plan, record } = core;
  const plumbing = await replumb(plan, core.context, run.pid);
  if ('step' in plumbing) {
    core.fault(NETWORK_UNKNOWN, `runs, but its network could not be read: ${plumbing.step}: ${plumbing.reason}`);
  } else {
    if (record.problem?.code === NETWORK_UNKNOWN) record.problem = undefined;
    record.plumbing = plumbing;
  }
  core.context.changed();
}

/** Of one that was adopted while its pools did not stand, which do now. */
export function learnNetworkAgain(core: ContainerCore): void {
  core.enqueue(async () => {
    const { run, problem } = core.record;
    if (run !== undefined && problem?.code === NETWORK_UNKNOWN) await learnNetwork(core, run);
  });
}
