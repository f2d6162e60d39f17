// Hooks: programs of the device's maker that run, one after the other, at events in the life of the device.
//
// <rundir>/lxc/hooks.json    which events have passed in this life of the tree, and the hook that runs
import { join } from 'node:path';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { HookEvent, HookSituation } from '../../shared/schema/hooks.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import { type FoundHooks, findHooks, type HookFile } from './hook-files.ts';
import { createHookOutput } from './hook-output.ts';
import { killGroup, runHook } from './hook-process.ts';
import { lxcPath, type Places } from './places.ts';
import { isAlive, startTicksOf } from './process-table.ts';
import { type HookRecord, readHookRecord, writeHookRecord } from './record-store.ts';

export interface HookFailure {
  readonly hook: string;
  readonly reason: string;
  /** The last that it said. */
  readonly words: readonly string[];
}

export type HooksOutcome =
  | { readonly ok: true; readonly ran: readonly string[] }
  | { readonly ok: false; readonly failure: HookFailure };

export interface Hooks {
  /** Events wait for each other. The first hook that fails is the last that runs. Never rejects. */
  run(event: HookEvent, situation: HookSituation, signal: AbortSignal): Promise<HooksOutcome>;
  /** What is in the folder and must not be run. */
  health(): readonly HealthReason[];
  /** Whatever runs is killed. */
  close(): void;
}

export interface HooksContext {
  readonly places: Places;
  /** Undefined: there are none. */
  readonly folder: string | undefined;
  /** Of one hook. */
  readonly timeoutMs: number;
  readonly log: Logger;
  /** The log of a hook, by its name. */
  readonly speak: (src: string) => Logger;
}

/** Told once in a life of the tree, or once for each revision in it, however often whoever asks has to ask. */
const ONCE: readonly HookEvent[] = ['system-start'];
const ONCE_PER_REVISION: readonly HookEvent[] = ['system-done'];

export function createHooks({ places, folder, timeoutMs, log, speak }: HooksContext): Hooks {
  const recordPath = join(lxcPath(places), 'hooks.json');
  const closed = new AbortController();
  let record: HookRecord = readHookRecord(recordPath) ?? { life: '', passed: [] };
  const inTurn = createTurn();
  /** What was told of the folder already. */
  let told = '';
  let refused: FoundHooks['refused'] = [];
  const { running: left } = record;
  // Of the service before us, whose end nobody heard of. Its number alone says nothing.
  if (left !== undefined && isAlive(left.pid, left.startTicks)) {
    log.warn(`hook ${left.hook} of a lxc-svc that was killed still ran, and is killed`);
    killGroup(left.pid);
  }

  const remember = (change: HookRecord): void => {
    record = change;
    try {
      writeHookRecord(recordPath, record);
    } catch (error) {
      log.error(`${recordPath} cannot be written, hooks may run twice: ${String(error)}`);
    }
  };

  const look = (): readonly HookFile[] => {
    const found = findHooks(folder);
    refused = found.refused;
    const words = refused.map(({ name, reason }) => `${join(folder ?? '', name)} is not run: ${reason}`);
    if (words.join('\n') !== told) for (const line of words) log.warn(line);
    told = words.join('\n');
    return found.hooks;
  };

  const runAll = async (event: HookEvent, situation: HookSituation, signal: AbortSignal): Promise<HooksOutcome> => {
    const { life, revision } = situation;
    const key = ONCE.includes(event) ? event : `${event} ${revision}`;
    if (record.life !== life) remember({ life, passed: [] });
    const isOnce = ONCE.includes(event) || ONCE_PER_REVISION.includes(event);
    if (isOnce && record.passed.includes(key)) return { ok: true, ran: [] };
    const hooks = look();
    const env = environmentOf(places, event, situation);
    for (const hook of hooks) {
      log.info(`hook ${hook.name} for ${event} of revision ${revision}`);
      const output = createHookOutput(speak(hook.name));
      const reason = await runHook(hook, {
        env,
        output,
        timeoutMs,
        signal,
        onStarted(pid) {
          const startTicks = startTicksOf(pid);
          if (startTicks !== undefined) remember({ ...record, running: { hook: hook.name, pid, startTicks } });
        },
      });
      const { running: _over, ...rest } = record;
      remember(rest);
      if (reason === undefined) continue;
      log.error(`hook ${hook.name} for ${event} of revision ${revision}: ${reason}`);
      return { ok: false, failure: { hook: hook.name, reason, words: output.words() } };
    }
    if (isOnce) remember({ ...record, passed: [...record.passed, key].slice(-MAX_PASSED) });
    return { ok: true, ran: hooks.map(({ name }) => name) };
  };

  return {
    run(event, situation, signal) {
      const both = AbortSignal.any([signal, closed.signal]);
      return inTurn(() => runAll(event, situation, both));
    },
    health: () =>
      refused
        .filter(({ unsafe }) => unsafe)
        .slice(0, MAX_REASONS)
        .map(({ name, reason }) => ({
          code: 'HOOK_NOT_RUN',
          subject: name,
          message: `${join(folder ?? '', name)}: ${reason}`.slice(0, 500),
        })),
    close: () => closed.abort(),
  };
}

const MAX_PASSED = 64;
const MAX_REASONS = 16;

/** The names and values are Pantavisor's. */
function environmentOf(
  { storage }: Places,
  event: HookEvent,
  { revision, tried, tryBoot, status }: HookSituation,
): Readonly<Record<string, string>> {
  return {
    PV_OP: event,
    PV_REV: revision,
    PV_TRY: tried,
    PV_TRYBOOT: String(tryBoot),
    PV_OBJ_STORAGE: join(storage, 'objects'),
    PV_TRAILS_STORAGE: join(storage, 'trails', revision),
    PV_STATUS: status,
  };
}
