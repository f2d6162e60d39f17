// When the hooks of the device's maker are told what, and what it means when one fails. lxc-svc runs them.
import type { Problem } from '../../shared/revision/revision.ts';
import type { HookEvent } from '../../shared/schema/hooks.ts';
import type { BootState } from './boot-state.ts';
import type { LogTail } from './log-tail.ts';
import type { Ask, Peers } from './peers.ts';
import type { RunningRevision } from './running-revision.ts';
import type { StepStore } from './step-store.ts';

export interface UpdateHooks {
  /** Before anything starts, once: why nothing may. Not where something of before lives: that is no start. Rejects with a Fault. */
  start(): Promise<readonly Problem[]>;
  /** What runs was refused: an update may stop what lives of before, and is no start for that. Never rejects. */
  refused(): Promise<void>;
  /** False: the revision must not be installed; nothing was changed for it yet. Never rejects. */
  install(revision: string): Promise<boolean>;
  /** What is tried is about to become the rollback point. `unheard`: lxc-svc is away. Never rejects. */
  commit(): Promise<'passed' | 'failed' | 'unheard'>;
  /** Something changed: when every goal is met, that is told, once for what runs. */
  look(): void;
}

export interface UpdateHookContext {
  readonly ask: Ask;
  readonly peers: Pick<Peers, 'lxc'>;
  readonly tail: LogTail;
  readonly steps: Pick<StepStore, 'progress'>;
  /** Of the tree. */
  readonly life: string;
  boot(): BootState;
  current(): RunningRevision;
  /** Whether containers of a tree before this one are there. */
  lives(): Promise<boolean>;
}

export function createUpdateHooks(context: UpdateHookContext): UpdateHooks {
  const { ask, peers, tail, steps, life } = context;
  const { log } = tail;
  let done: RunningRevision | undefined;
  /** They have passed, or there is nothing that they could come before. */
  let isStarted = false;

  /** Resolves with why one failed. Rejects with a Fault. */
  const run = async (event: HookEvent, tried?: string): Promise<string | undefined> => {
    const { name: revision } = context.current();
    if (revision === '') return undefined;
    const { trying } = context.boot();
    const tryBoot = trying?.started !== undefined && trying.way === 'reboot' && trying.revision === revision;
    const { status } = await steps.progress(revision);
    const situation = { life, revision, tried: tried ?? (tryBoot ? revision : ''), tryBoot, status };
    const answer = await ask(() => peers.lxc.runHooks({ event, ...situation }));
    if (answer.ok) return undefined;
    const { hook, reason, words } = answer.error;
    // They are in the log, as the hook's own.
    for (const line of words) tail.quote(hook, line);
    return `hook ${hook} for ${event} failed: ${reason}`;
  };

  return {
    async start() {
      isStarted ||= await context.lives();
      if (isStarted) return [];
      const failed = await run('system-start');
      isStarted = failed === undefined;
      return failed === undefined ? [] : [{ path: '', code: 'HOOK_FAILED', message: failed }];
    },
    async refused() {
      // Where nobody can say so now, they are asked all the same: lxc-svc knows whether they have passed in this life of the tree.
      isStarted ||= await context.lives().catch(() => false);
    },
    async install(revision) {
      const failed = await run('system-install-update', revision).catch(String);
      if (failed !== undefined) log.error(`revision ${revision} is not installed: ${failed}`);
      return failed === undefined;
    },
    async commit() {
      try {
        // To them it is committed: nothing else stands between.
        const failed = await run('system-boot-done', '');
        if (failed !== undefined) log.error(failed);
        return failed === undefined ? 'passed' : 'failed';
      } catch (error) {
        log.error(`hooks for system-boot-done: ${String(error)}`);
        return 'unheard';
      }
    },
    look() {
      const current = context.current();
      if (done === current || current.notYet() !== undefined || current.status() !== 'READY') return;
      done = current;
      run('system-done').then(
        (failed) => failed === undefined || log.warn(failed),
        (error: unknown) => log.warn(`hooks for system-done: ${String(error)}`),
      );
    },
  };
}
