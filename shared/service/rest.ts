// What a process does when it has come to rest after work: it gives back the memory that the work took.
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { alignedInterval } from '../ipc/aligned-interval.ts';

export interface Rest {
  /** Looks in a row at which hardly anything had been done. */
  readonly quiet: number;
  /** Collections that the last work is still owed. */
  readonly owed: number;
  /** That work was, or had in it, the start of this process. */
  readonly started: boolean;
}

/**
 * `code`: compiled code goes, too. Much of what a start needs is never used again; what later work needs, the next will need as well.
 * `young`: what has been made since the last one, and is not used any more.
 */
export type Collection = 'code' | 'garbage' | 'young';

const LOOK_MS = 5_000;
/** Of CPU between two looks; a service at rest takes 2, and ten times that where processors are slow. */
export const BUSY_MS = 50;
/** V8 itself begins to collect after some eight seconds; before that nobody knows whether work is over. */
export const QUIET_LOOKS = 2;
/** The young generation shrinks by half with each, and what one has let go of is in nobody's way at the next. */
const COLLECTIONS = 2;
/**
 * Between two young collections at rest. Beats and looks leave 4 KB a second, and V8 lets them fill the young generation before it collects: 1 MB in a
 * service and more in the supervisor, in memory from then on, where a collection takes 0.4 ms of CPU.
 */
export const YOUNG_LOOKS = 6;

/**
 * From Node 22 on a collection can be asked for that gives back all it can. Compaction alone would keep the pages that it empties, for later:
 * 2 MB of a process.
 */
const KNOWS_LAST_RESORT = Number.parseInt(process.versions.v8, 10) >= 12;
/** Not the young generation alone. */
const HOW = KNOWS_LAST_RESORT ? { type: 'major', execution: 'sync', flavor: 'last-resort' } : false;
const YOUNG = { type: 'minor', execution: 'sync' };
const COMPACTION = KNOWS_LAST_RESORT ? [] : ['compact-on-every-full-gc'];
/** Of V8, all off by default. Code that is used again is compiled again. */
const FLAGS = {
  code: [...COMPACTION, 'flush-baseline-code', 'stress-flush-code'],
  garbage: COMPACTION,
  young: [],
} satisfies Record<Collection, readonly string[]>;

export const STARTED: Rest = { quiet: 0, owed: COLLECTIONS, started: true };

/** `spentMs`: milliseconds of CPU since the last look, a collection at it left out. Answers what to collect, if anything. */
export function look({ quiet, owed, started }: Rest, spentMs: number): readonly [Rest, Collection | undefined] {
  if (spentMs > BUSY_MS) return [{ quiet: 0, owed: COLLECTIONS, started }, undefined];
  const next = quiet + 1;
  if (next < QUIET_LOOKS) return [{ quiet: next, owed, started }, undefined];
  if (owed === 0) return [{ quiet: next, owed, started }, next % YOUNG_LOOKS === 0 ? 'young' : undefined];
  const left = owed - 1;
  return [{ quiet: next, owed: left, started: started && left > 0 }, started ? 'code' : 'garbage'];
}

/** `trim`: what else can be given back, asked for after a collection. Does not keep the process alive. Answers how to stop it. */
export function giveBackAtRest(trim: () => void): () => void {
  let rest = STARTED;
  let spent = process.cpuUsage();
  const run = (): void => {
    const { user, system } = process.cpuUsage(spent);
    const [next, collection] = look(rest, (user + system) / 1_000);
    rest = next;
    if (collection !== undefined) {
      collect(collection);
      if (collection !== 'young') trim();
    }
    spent = process.cpuUsage();
  };
  return alignedInterval(LOOK_MS, run, { passive: true });
}

/** Of a process that was started without one. */
let exposed: unknown;

/** Holds the process up for some 20 ms of CPU, or for half of one when it is young. */
export function collect(collection: Collection): void {
  exposed ??= globalThis.gc === undefined ? exposedCollector() : undefined;
  const collector: unknown = globalThis.gc ?? exposed;
  if (typeof collector !== 'function') throw new Error('V8 has no gc to expose');
  const flags = FLAGS[collection];
  for (const flag of flags) setFlagsFromString(`--${flag}`);
  try {
    Reflect.apply(collector, undefined, [collection === 'young' ? YOUNG : HOW]);
  } finally {
    // As long as they are other than they were, V8 refuses all code that it compiled before.
    for (const flag of flags) setFlagsFromString(`--no-${flag}`);
  }
}

/** A context of 250 KB comes with it, and is kept: it is asked again twice a minute, and saves ten times that. */
function exposedCollector(): unknown {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc');
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
