// Which revision runs after the next start, whatever happens until then: a pure state machine over what is on disk. Between two
// writes the power may go; each state alone names a revision that can be booted.
//
//   state                         | event                    → next
//   any                           | began (by reboot)        → trying, not started
//   any                           | began (live)             → trying, started in this life
//   trying, not started           | booted                   → trying, started: runs, is tested
//   trying, started               | booted, still alive      → the same: the test goes on
//   trying, still opening         | opened                   → its time begins
//   trying, still opening         | booted, still alive      → one start more that has not come to its containers
//   trying, started               | booted, nothing alive    → done runs, what was tried has failed
//   updated                       | booted, still alive      → the same
//   updated                       | booted, nothing alive    → trying, started: a rollback point once it is committed
//   updated once                  | booted, nothing alive    → done runs
//   trying by reboot              | committed                → done is what was tried
//   trying live, or once          | committed                → updated; done stays
//   trying, not started           | failed                   → not trying any more: what runs is what ran before
//   trying, started               | failed                   → done runs, what was tried has failed
//   trying, started               | failed, back by reboot   → the same, and leaving
//   leaving                       | began                    → not leaving any more
//   leaving                       | booted, nothing alive    → not leaving any more
//   any                           | asked                    → the same, and what is to be tried next
//   asked                         | taken up                 → the same, and not to be taken up once more
//   asked                         | began, or dropped        → not asked any more
//   asked                         | booted, nothing alive    → not asked any more
//   assumed                       | committed, but not once  → not assumed any more: the user has said which one it is
import * as z from 'zod/mini';
import { containerName, revisionName } from '../../shared/schema/names.ts';

const milliseconds = z.number().check(z.minimum(0));

const trying = z.object({
  revision: revisionName,
  /** Whether its first start is that of the whole tree; only then it may become the rollback point by itself. */
  way: z.enum(['reboot', 'live']),
  /** Never becomes the rollback point. */
  once: z.boolean(),
  /** Absent before its first start. Milliseconds of the kernel's clock, which every process of this boot shares. */
  started: z.optional(
    z.object({
      sinceMs: milliseconds,
      heldSinceMs: z.optional(milliseconds),
      /** Starts of this service until now that have not come to its containers. Absent: they have had their turns since `sinceMs`. */
      opening: z.optional(z.number()),
    }),
  ),
});

/** `revision` alone is what `berth pack` writes. */
export const bootState = z.object({
  /** The last DONE one: what to roll back to, and what runs where nothing below says otherwise. */
  revision: revisionName,
  /** Runs since a transition without reboot, and was found stable. */
  updated: z.optional(z.object({ revision: revisionName, once: z.boolean() })),
  trying: z.optional(trying),
  /** Accepted, and not begun: of a command that was answered already. */
  asked: z.optional(
    z.object({
      revision: revisionName,
      once: z.boolean(),
      commit: z.boolean(),
      /** By a service after the one that was asked: what ends that one as well is not to do so for ever. */
      takenUp: z.optional(z.boolean()),
    }),
  ),
  /** Nothing said which revision ran, and these had been found good, latest last: `revision` may be the wrong one. */
  assumedBeside: z.optional(z.array(revisionName)),
  /** The last ones that did not make it, latest last. Nothing here tries them again. */
  failed: z.optional(z.array(revisionName)),
  /** Containers that run since an earlier revision, which has them exactly as the running one: from which ones that may be. */
  carried: z.optional(z.record(containerName, z.array(revisionName))),
  /** The way back to what runs next is a reboot, which has not come yet. */
  leaving: z.optional(z.boolean()),
  /** The tree that wrote this last: services of one life have restarted, the tree has not. */
  life: z.optional(z.string()),
});
export type BootState = z.output<typeof bootState>;
export type Carried = NonNullable<BootState['carried']>;

export type BootEvent =
  | {
      readonly kind: 'began';
      readonly revision: string;
      readonly way: 'reboot' | 'live';
      readonly once: boolean;
      readonly carried: Carried;
      readonly nowMs: number;
    }
  | { readonly kind: 'asked'; readonly revision: string; readonly once: boolean; readonly commit: boolean }
  | { readonly kind: 'takenUp'; readonly revision: string }
  /** Nothing comes of what was asked for. What was asked for since then stays. */
  | { readonly kind: 'dropped'; readonly revision: string }
  /** state-svc starts. `alive`: of what ran before something runs still, or it is the same tree. */
  | { readonly kind: 'booted'; readonly life: string; readonly alive: boolean; readonly nowMs: number }
  /** Containers of what is tried have their turns, for the first time: before that no goal could be met. */
  | { readonly kind: 'opened'; readonly nowMs: number }
  /** Everything is as it should be since then; undefined: not any more. */
  | { readonly kind: 'held'; readonly sinceMs: number | undefined }
  | { readonly kind: 'committed' }
  /** `carried`: containers of what was started and tried that run on in the revision that is rolled back to. */
  | { readonly kind: 'failed'; readonly carried: Carried; readonly byReboot: boolean };

export interface BootStep {
  readonly state: BootState;
  /** What failed with this event. */
  readonly failed: string | undefined;
}

/** Of revisions that are only told of. */
export const MAX_NAMED = 16;

/** What runs, or is to run at the next start. */
export function runningOf({ revision, updated, trying: tried }: BootState): string {
  return tried?.started === undefined ? (updated?.revision ?? revision) : tried.revision;
}

/** Revisions that somebody may want to boot: never to be removed or replaced. */
export function neededBy({ revision, updated, trying: tried, asked }: BootState): ReadonlySet<string> {
  return new Set([revision, ...[updated, tried, asked].flatMap((named) => named?.revision ?? [])]);
}

export function bootStep(state: BootState, event: BootEvent): BootStep {
  switch (event.kind) {
    case 'began': {
      const { revision, way, once, carried, nowMs } = event;
      const started = way === 'live' ? { started: { sinceMs: nowMs, opening: 1 } } : {};
      const { asked: _asked, leaving: _stayed, ...rest } = state;
      const next = { ...rest, trying: { revision, way, once, ...started } };
      return going(way === 'live' ? { ...next, carried } : next);
    }
    case 'asked': {
      const { revision, once, commit } = event;
      return going({ ...state, asked: { revision, once, commit } });
    }
    case 'takenUp': {
      const { asked } = state;
      return going(asked?.revision === event.revision ? { ...state, asked: { ...asked, takenUp: true } } : state);
    }
    case 'dropped': {
      const { asked, ...rest } = state;
      return going(asked?.revision === event.revision ? rest : state);
    }
    case 'booted':
      return booted(state, event);
    case 'opened':
      return going(opened(state, event.nowMs));
    case 'held':
      return going(held(state, event.sinceMs));
    case 'committed':
      return going(committed(state));
    case 'failed':
      return failed(state, event);
  }
}

const going = (state: BootState): BootStep => ({ state, failed: undefined });

/** Instead of a start that cannot be written down: what it was to try, which would be tried again and again, waits for one that can be. */
export function heldBack(state: BootState): BootState {
  const { trying: tried, ...rest } = state;
  if (tried === undefined) return state;
  const { started: _not, ...waiting } = tried;
  return { ...rest, trying: waiting };
}

function booted(state: BootState, { life, alive, nowMs }: Extract<BootEvent, { kind: 'booted' }>): BootStep {
  const { trying: tried, updated, ...rest } = state;
  if (alive) return going({ ...openingAgain(state), life });
  const { carried: _none, asked: _forgotten, leaving: _come, ...cold } = rest;
  const started = { sinceMs: nowMs, opening: 1 };
  if (tried !== undefined) {
    if (tried.started === undefined) return going({ ...cold, life, trying: { ...tried, started } });
    const { state: back, failed: lost } = failed({ ...cold, trying: tried }, { carried: {}, byReboot: false });
    return { state: { ...back, life }, failed: lost };
  }
  if (updated === undefined || updated.once) return going({ ...cold, life });
  return going({ ...cold, life, trying: { revision: updated.revision, way: 'reboot', once: false, started } });
}

function openingAgain(state: BootState): BootState {
  const { trying: tried } = state;
  if (tried?.started?.opening === undefined) return state;
  return { ...state, trying: { ...tried, started: { ...tried.started, opening: tried.started.opening + 1 } } };
}

function opened(state: BootState, nowMs: number): BootState {
  const { trying: tried } = state;
  return tried?.started?.opening === undefined
    ? state
    : { ...state, trying: { ...tried, started: { sinceMs: nowMs } } };
}

function held(state: BootState, sinceMs: number | undefined): BootState {
  const { trying: tried } = state;
  if (tried?.started === undefined) return state;
  const started = { sinceMs: tried.started.sinceMs, ...(sinceMs === undefined ? {} : { heldSinceMs: sinceMs }) };
  return { ...state, trying: { ...tried, started } };
}

function committed(state: BootState): BootState {
  const { trying: tried, updated: _before, ...others } = state;
  if (tried === undefined) return state;
  const { assumedBeside: _answered, ...named } = others;
  const rest = tried.once ? others : named;
  // What was the rollback point all along needs no other one.
  if (tried.revision === rest.revision) return rest;
  if (tried.way === 'live' || tried.once) {
    return { ...rest, updated: { revision: tried.revision, once: tried.once } };
  }
  return { ...rest, revision: tried.revision };
}

function failed(
  state: BootState,
  { carried, byReboot }: Pick<Extract<BootEvent, { kind: 'failed' }>, 'carried' | 'byReboot'>,
): BootStep {
  const { trying: tried, updated: _before, ...rest } = state;
  if (tried === undefined) return going(state);
  if (tried.started === undefined) {
    const { trying: _waited, ...untouched } = state;
    return going(untouched);
  }
  const lost = [...(rest.failed ?? []).filter((name) => name !== tried.revision), tried.revision];
  const left = byReboot ? { leaving: true } : {};
  return { state: { ...rest, carried, ...left, failed: lost.slice(-MAX_NAMED) }, failed: tried.revision };
}
