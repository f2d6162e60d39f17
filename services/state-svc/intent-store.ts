// What must be known about containers after a restart and cannot be read from anywhere else:
//   <storage>/cache/containers.json        {"<container>": <intent>, …}, one intent as declared below
//   <storage>/cache/containers-down.json   {"<container>": <pid>, …}, `downPid` of those that have one; absent until one has
//   <storage>/cache/containers-ends.json   {"<container>": {"lastExit": {…}, "exhaustedMs": 1.5}, …} in the same way
// Earlier builds take a key that they do not know for damage, and forget every intent: what is new goes into files that they do not read.
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { whyUnwritten } from '../../shared/kernel/system-error.ts';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { exitStatus } from '../../shared/schema/exit.ts';
import { containerName } from '../../shared/schema/names.ts';
import { writeAtomically } from './atomic-file.ts';

const count = z.int().check(z.minimum(0));

/** What a later build adds is left out. */
const intent = z.object({
  /** Stopped by the user: stays so until the user starts it, also over a reboot. */
  userStopped: z.boolean(),
  /** A start was accepted and is not done: it goes on after a restart, whatever the last exit says. `replacesPid`: the run to stop first, 0 for none. */
  pendingStart: z.nullable(z.strictObject({ replacesPid: count })),
  /** Auto-recovery waits this long, ms, before the next start; the end that caused it is counted in `retries` already. */
  recoveryDelayMs: z.nullable(count),
  /** The run that sent READY; 0: the one that is being started, or that nobody has adopted. Cleared by every start. */
  readyPid: z.nullable(count),
  /** Auto-recovery's counter. */
  retries: count,
  /** Starts after the first. */
  restarts: count,
});

const ends = z.object({
  /** How the run before the one that is on ended; lxc-svc knows of the last one only. */
  lastExit: z.optional(z.object({ status: exitStatus, atMs: count })),
  /** Since when it waits for the pause after its last retry, of the clock's elapsedMs. */
  exhaustedMs: z.optional(z.number()),
});

export interface Intent extends z.output<typeof intent> {
  /** The run for whose end a reboot was asked, or is not to be. Hardly any has it. */
  downPid?: number | undefined;
  lastExit?: z.output<typeof ends>['lastExit'];
  exhaustedMs?: number | undefined;
}

const intentsFile = z.record(containerName, intent);
const downFile = z.record(containerName, count);
const endsFile = z.record(containerName, ends);

export const NO_INTENT: Intent = {
  userStopped: false,
  pendingStart: null,
  recoveryDelayMs: null,
  readyPid: null,
  retries: 0,
  restarts: 0,
  downPid: undefined,
  lastExit: undefined,
  exhaustedMs: undefined,
};

export interface IntentStore {
  get(container: string): Intent;
  /** Resolves when it is on disk. Changes that come while a write is under way share the next one. */
  set(container: string, change: Partial<Intent>): Promise<void>;
  /** Forgets the others. Resolves as `set`. */
  keepOnly(containers: ReadonlySet<string>): Promise<void>;
  /** Why what is known here is not on disk, and the way out; undefined when it is, or is just being written. */
  unwritten(): string | undefined;
  /** Resolves when no write is under way. */
  drained(): Promise<void>;
}

/** Between tries to write what could not be written, milliseconds. */
const RETRY_MS = 5000;

/** A damaged file is told and then treated as empty: the worst that follows is a stopped container that starts again. */
export async function openIntents(path: string, log: Logger, retryMs = RETRY_MS): Promise<IntentStore> {
  const downPath = join(dirname(path), 'containers-down.json');
  const endsPath = join(dirname(path), 'containers-ends.json');
  const loadedDown = load(downPath, downFile, log);
  const loadedEnds = load(endsPath, endsFile, log);
  const intents = new Map<string, Intent>(
    Object.entries(load(path, intentsFile, log)).map(([name, each]) => [
      name,
      { ...NO_INTENT, ...each, downPid: loadedDown[name], ...loadedEnds[name] },
    ]),
  );
  const beside = [
    { path: downPath, textOf: downText, onDisk: downText(intents) },
    { path: endsPath, textOf: endsText, onDisk: endsText(intents) },
  ];
  let writing: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  let unwritten: string | undefined;
  let retry: NodeJS.Timeout | undefined;

  const write = (): Promise<void> => {
    next ??= writing.then(async () => {
      next = undefined;
      clearTimeout(retry);
      const main = intentsText(intents);
      const changed = beside
        .map((file) => ({ file, text: file.textOf(intents) }))
        .filter(({ file, text }) => text !== file.onDisk);
      // First: what is in the main file means less without it, as a pause whose beginning is unknown, and it says nothing without that.
      const failures: unknown[] = [];
      for (const { file, text } of changed) {
        await writeAtomically(file.path, text).then(
          () => {
            file.onDisk = text;
          },
          (error: unknown) => failures.push(error),
        );
      }
      await writeAtomically(path, main);
      if (failures.length > 0) throw failures[0];
      unwritten = undefined;
    });
    // A failed write is its callers' to tell; the one after it must be tried all the same.
    writing = next.catch((error: unknown) => {
      unwritten = whyUnwritten(error);
      retry = setTimeout(() => void write().catch(() => undefined), retryMs);
      retry.unref();
    });
    return next;
  };

  return {
    get: (container) => intents.get(container) ?? NO_INTENT,
    async set(container, change) {
      const before = intents.get(container) ?? NO_INTENT;
      const after = { ...before, ...change };
      if (JSON.stringify(before) === JSON.stringify(after) && unwritten === undefined) return next ?? writing;
      intents.set(container, after);
      await write();
    },
    async keepOnly(containers) {
      const others = [...intents.keys()].filter((name) => !containers.has(name));
      for (const name of others) intents.delete(name);
      if (others.length > 0) await write();
    },
    unwritten: () => unwritten,
    async drained() {
      for (let last = writing; ; last = writing) {
        await last;
        if (last === writing) return;
      }
    },
  };
}

const intentsText = (intents: ReadonlyMap<string, Intent>): string =>
  textOf([...intents].map(([name, { downPid: _down, lastExit: _exit, exhaustedMs: _since, ...each }]) => [name, each]));

const downText = (intents: ReadonlyMap<string, Intent>): string =>
  textOf([...intents].flatMap(([name, { downPid }]) => (downPid === undefined ? [] : [[name, downPid]])));

const endsText = (intents: ReadonlyMap<string, Intent>): string =>
  textOf(
    [...intents].flatMap(([name, { lastExit, exhaustedMs }]) =>
      lastExit === undefined && exhaustedMs === undefined ? [] : [[name, { lastExit, exhaustedMs }]],
    ),
  );

const textOf = (entries: readonly (readonly [string, unknown])[]): string =>
  `${JSON.stringify(Object.fromEntries(entries))}\n`;

function load<Value>(
  path: string,
  file: z.ZodMiniType<Readonly<Record<string, Value>>>,
  log: Logger,
): Readonly<Record<string, Value>> {
  try {
    const text = readIfPresent(path);
    return text === undefined ? {} : file.parse(JSON.parse(text));
  } catch (error) {
    log.warn(`${path} is not readable and starts over empty: ${String(error)}`);
    return {};
  }
}
