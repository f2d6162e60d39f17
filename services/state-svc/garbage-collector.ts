// Collects what nobody needs any more: on command, before an upload that lacks room, and when too little of the storage is free.
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Arrivals } from './arrivals.ts';
import { MAX_NAMED } from './boot-state.ts';
import type { Clock } from './clock.ts';
import { type GarbageRules, garbageObjects, garbageSteps, type StoredStep } from './garbage.ts';
import { objectsOf } from './revision-store.ts';
import type { StepDesk } from './step-desk.ts';
import { isApplied } from './step-progress.ts';
import type { StepStore } from './step-store.ts';
import type { StorageRoom } from './storage-room.ts';

export interface GarbageSettings {
  readonly keepFactory: boolean;
  readonly deferMs: number;
  /** Of the storage, the part that is to be free beyond what is kept in reserve, or it is collected by itself, 0–100; 0: never. */
  readonly thresholdPercent: number;
}

export interface GarbageContext {
  readonly desk: Pick<StepDesk, 'objects' | 'uploads' | 'steps' | 'arrivals' | 'inTurn'>;
  readonly room: StorageRoom;
  readonly clock: Clock;
  readonly log: Logger;
  settings(): GarbageSettings;
  needed(): ReadonlySet<string>;
}

export interface GarbageCollector {
  /** On command: whatever no revision has. Answers the bytes that are free because of it. Rejects when the storage cannot be read. */
  collect(): Promise<number>;
  /** The same, and leaves objects that came lately: room is made for the others of the same revision, which is put after all of them. */
  collectOld(): Promise<number>;
  /** From now on it looks by itself how much of the storage is free. */
  watch(): void;
  /** Why objects were left that may be garbage, the last time that any was looked for. */
  health(): readonly HealthReason[];
  close(): void;
}

const LOOK_MS = 30_000;

export function createGarbageCollector(context: GarbageContext): GarbageCollector {
  const { desk, room, clock, log } = context;
  let cancel: () => void = () => undefined;
  let isClosed = false;
  /** Revisions that may have any of the objects. */
  let held: string | undefined;
  /** What could not be done, and why, the last time: a disk that takes nothing would have it said twice a minute. */
  let told: ReadonlySet<string> = new Set();
  let telling = new Set<string>();
  const tell = (line: string): void => {
    if (!told.has(line) && !telling.has(line)) log.warn(line);
    telling.add(line);
  };

  /** Answers its bytes. What cannot be removed, whoever made it, must not keep all the rest. */
  const removed = (what: string, remove: () => Promise<number>): Promise<number> =>
    remove().catch((error: unknown) => {
      tell(`garbage: ${what} cannot be removed: ${String(error)}`);
      return 0;
    });

  const collectNow = async (takesFreshObjects: boolean): Promise<number> => {
    // Who asks is told again.
    told = takesFreshObjects ? new Set() : telling;
    telling = new Set();
    const { keepFactory, deferMs } = context.settings();
    const needed = context.needed();
    const rules: GarbageRules = { needed, keepFactory, deferMs, takesFreshObjects };
    let bytes = 0;
    for (const name of garbageSteps(await storedSteps(desk.steps, desk.arrivals), rules)) {
      // An update to it may have been asked for while the others were removed.
      if (context.needed().has(name)) continue;
      // Its volumes are root's: lxc-svc removes those of revisions that are gone.
      bytes += await removed(`revision ${name}`, async () => {
        const own = await desk.steps.remove(name);
        log.info(`garbage: revision ${name} is gone`);
        return own;
      });
    }
    bytes += await collectObjects(rules);
    if (bytes > 0) log.info(`garbage: ${bytes} bytes are free again`);
    return bytes;
  };

  const collectObjects = async (rules: GarbageRules): Promise<number> => {
    const { named, unread } = await namedObjects(desk.steps);
    const unseen = [...desk.steps.unseen(), ...unread];
    held = unseen.length === 0 ? undefined : unseen.slice(0, MAX_NAMED).join(', ');
    if (held !== undefined) {
      tell(`garbage: objects stay while it cannot be seen which ones are of ${held}`);
      return 0;
    }
    const found = await desk.objects.findAll(await desk.objects.list());
    const stored = found.map(({ modifiedMs, ...object }) => ({
      ...object,
      ageMs: desk.arrivals.ageMs(object.sha256, modifiedMs),
    }));
    const objects = new Map(stored.map((object) => [object.sha256, object]));
    const expected = new Set([...desk.uploads.expected(), ...named]);
    let bytes = 0;
    for (const digest of garbageObjects(stored, expected, rules)) {
      bytes += await removed(`object ${digest}`, async () => {
        await desk.objects.remove(digest);
        return objects.get(digest)?.bytes ?? 0;
      });
    }
    return bytes;
  };
  const collectOld = (): Promise<number> => desk.inTurn(() => collectNow(false));

  const look = async (): Promise<void> => {
    const { thresholdPercent, deferMs } = context.settings();
    desk.arrivals.forget(deferMs);
    try {
      if (thresholdPercent > 0 && (await room.availablePercent()) < thresholdPercent) await collectOld();
    } catch (error) {
      tell(`garbage cannot be collected: ${String(error)}`);
    }
    if (!isClosed) cancel = clock.after(LOOK_MS, () => void look());
  };

  return {
    collect: () => desk.inTurn(() => collectNow(true)),
    collectOld,
    watch() {
      if (isClosed) return;
      cancel = clock.after(LOOK_MS, () => void look());
    },
    health() {
      if (held === undefined) return [];
      const message =
        `no object is collected while it cannot be seen which ones are of revision ${held}: ` +
        'check the file system of the storage (fsck), or put that revision again';
      return [{ code: 'GARBAGE_KEPT', subject: 'objects', message: message.slice(0, 500) }];
    },
    close() {
      isClosed = true;
      cancel();
    },
  };
}

async function storedSteps(steps: StepStore, arrivals: Arrivals): Promise<readonly StoredStep[]> {
  const stored: StoredStep[] = [];
  for (const name of await steps.list()) {
    const arrivedMs = await steps.arrivedMs(name);
    const progress = await steps.progress(name);
    const isNew = progress.status === 'NEW' || isApplied(progress);
    if (arrivedMs !== undefined) stored.push({ name, ageMs: arrivals.ageMs(name, arrivedMs), isNew });
  }
  return stored;
}

interface NamedObjects {
  readonly named: readonly string[];
  /** Revisions whose state the disk does not give, and why: they may name any. */
  readonly unread: readonly string[];
}

/** Also of revisions that have no links to them: a new factory, and one that was refused before it was checked out. */
async function namedObjects(steps: StepStore): Promise<NamedObjects> {
  const named: string[] = [];
  const unread: string[] = [];
  for (const name of await steps.list()) {
    try {
      const text = await steps.stateText(name);
      if (text !== undefined) named.push(...objectsOf(JSON.parse(text)).values());
    } catch (error) {
      // What is no JSON can be run by nobody.
      if (!(error instanceof SyntaxError)) unread.push(`${name} (.pvr/json: ${reasonOf(error)})`);
    }
  }
  return { named, unread };
}
