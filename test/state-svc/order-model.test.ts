// The ordering engine against a model of it: random revisions, orders of events, failures, and users who interfere.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { goalMet } from '../../services/state-svc/group-status.ts';
import {
  advance,
  type BootProgress,
  type OrderedContainer,
  type OrderedGroup,
  startable,
} from '../../services/state-svc/order.ts';
import type { Status } from '../../shared/schema/api.ts';

/** How far its start gets when nobody interferes; `hangs` holds its place among those under way until all else is over. */
const FATES = ['ready', 'started', 'fails', 'hangs'] as const;
const GOALS = ['MOUNTED', 'STARTED', 'READY'] as const;
const MOVES = ['on', 'fail', 'crash', 'wait', 'stop', 'start'] as const;

const revision = fc.record({
  groups: fc.array(fc.record({ timeoutMs: fc.nat(50) }), { minLength: 1, maxLength: 4 }),
  containers: fc.array(
    fc.record({
      group: fc.nat(3),
      goal: fc.constantFrom(...GOALS),
      fate: fc.constantFrom(...FATES),
      stopped: fc.boolean(),
    }),
    { maxLength: 8 },
  ),
  limit: fc.integer({ min: 1, max: 4 }),
});
const moves = fc.array(fc.record({ who: fc.nat(7), to: fc.constantFrom(...MOVES), ms: fc.nat(30) }), { maxLength: 80 });

type RandomRevision = typeof revision extends fc.Arbitrary<infer R> ? R : never;
type Move = { readonly who: number; readonly to: (typeof MOVES)[number]; readonly ms: number };

type ModelContainer = { -readonly [K in keyof OrderedContainer]: OrderedContainer[K] } & {
  readonly fate: (typeof FATES)[number];
  starts: number;
  /** A user interfered, or a random failure struck: its fate says nothing any more. */
  disturbed: boolean;
};

const NEXT: Partial<Record<Status, Status>> = { INSTALLED: 'MOUNTED', MOUNTED: 'STARTING', STARTING: 'STARTED' };

/** One boot. What it knows of turns it finds out by itself, from the documentation's words and not from the engine's. */
function createModel({ groups, containers, limit }: RandomRevision) {
  const named: readonly OrderedGroup[] = groups.map(({ timeoutMs }, index) => ({ name: `g${index}`, timeoutMs }));
  const all: readonly ModelContainer[] = containers.map(({ group, goal, fate, stopped }, index) => ({
    name: `c${index}`,
    group: `g${group % named.length}`,
    goal,
    fate,
    starts: 0,
    disturbed: stopped,
    status: stopped ? 'STOPPED' : 'INSTALLED',
    waived: stopped,
    busy: false,
    tried: stopped,
  }));
  let now = 0;
  let progress: BootProgress = { passed: 0, sinceMs: 0 };
  const missed: string[] = [];
  /** When each group's turn began, and which were seen complete since then. */
  const began = new Map<number, number>([[0, 0]]);
  const complete = new Set<number>();
  const isDue = (index: number): boolean => {
    if (index === 0) return true;
    const timedOut = now >= (began.get(index - 1) ?? Infinity) + (named[index - 1]?.timeoutMs ?? 0);
    return isDue(index - 1) && (complete.has(index - 1) || timedOut);
  };
  const observe = (): void => {
    for (const [index, { name }] of named.entries()) {
      if (!isDue(index)) continue;
      if (!began.has(index)) began.set(index, now);
      if (all.every((each) => each.group !== name || each.waived || goalMet(each))) complete.add(index);
    }
  };

  /** As boot.ts looks; answers when to look again. */
  const look = (): number | undefined => {
    observe();
    const step = advance(progress, named, all, now);
    assert.ok(step.progress.passed >= progress.passed, 'a turn was taken back');
    progress = step.progress;
    for (const name of step.passed.flatMap((group) => group.missed)) {
      missed.push(name);
      Object.assign(all.find((each) => each.name === name) ?? {}, { waived: true });
    }
    for (const name of startable(progress, named, all, limit)) {
      const chosen = all.find((each) => each.name === name);
      assert.ok(chosen?.status === 'INSTALLED' && !chosen.busy && chosen.starts === 0, `${name} was started twice`);
      assert.ok(isDue(named.findIndex((group) => group.name === chosen.group)), `${name} was not due`);
      Object.assign(chosen, { busy: true, tried: true, starts: 1 });
    }
    return step.lookAgainMs;
  };
  const go = (container: ModelContainer): void => {
    container.status = NEXT[container.status] ?? container.status;
    const done = container.goal === 'MOUNTED' ? container.status === 'MOUNTED' : container.status === 'STARTED';
    if (done) container.busy = false;
  };

  return {
    all,
    missed,
    isOver: () => progress.passed === named.length,
    nowMs: () => now,
    look,
    move({ who, to, ms }: Move): void {
      const target = all[who];
      if (to === 'wait' || target === undefined) {
        now += ms;
      } else if (to === 'on') {
        if (target.busy) go(target);
        else if (target.status === 'STARTED') target.status = 'READY';
      } else if (to === 'fail' && target.busy) {
        Object.assign(target, { busy: false, status: 'STOPPED', disturbed: true });
      } else if (to === 'crash' && target.status !== 'MOUNTED' && goalMet(target)) {
        Object.assign(target, { status: 'RECOVERING', disturbed: true });
      } else if (to === 'stop') {
        Object.assign(target, { busy: false, status: 'STOPPED', waived: true, disturbed: true });
      } else if (to === 'start' && target.status === 'STOPPED') {
        // The user means this container and no order: it is under way beyond the limit, and the boot is not asked.
        Object.assign(target, { busy: true, tried: true, status: 'INSTALLED', waived: false, disturbed: true });
      }
      look();
    },
    /** Everybody follows their fate; time passes only when nothing else happens. */
    finish(): void {
      for (let again: number | undefined = look(), rounds = 0; ; again = look(), rounds += 1) {
        assert.ok(rounds < 500, 'the boot never ends');
        const moving = all.filter(({ busy, fate, disturbed }) => busy && (disturbed || fate !== 'hangs'));
        for (const container of moving) {
          if (container.fate === 'fails' && !container.disturbed) {
            Object.assign(container, { busy: false, status: 'STOPPED' });
          } else go(container);
        }
        const signalling = all.filter(({ status, fate }) => status === 'STARTED' && fate === 'ready');
        for (const container of signalling) container.status = 'READY';
        if (moving.length + signalling.length > 0) continue;
        const hanging = all.find(({ busy }) => busy);
        if (again !== undefined) now = Math.max(now, again);
        else if (hanging !== undefined) Object.assign(hanging, { busy: false, status: 'STOPPED' });
        else return;
      }
    },
  };
}

const suffices = ({ goal, fate }: { readonly goal: string; readonly fate: string }): boolean =>
  fate === 'ready' || (fate === 'started' && goal !== 'READY');

describe('the ordering engine', () => {
  it('lets nobody be mounted before all earlier goals were met or timed out, never twice, never more than the limit', () => {
    fc.assert(
      fc.property(revision, moves, (random, steps) => {
        const model = createModel(random);
        model.look();
        for (const step of steps) {
          const before = model.all.filter(({ busy, disturbed }) => busy && !disturbed).length;
          model.move(step);
          const busy = model.all.filter((each) => each.busy && !each.disturbed).length;
          assert.ok(busy <= Math.max(before, random.limit));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('gives every container its turn, whatever happened to the others, and every goal that can be met is met', () => {
    fc.assert(
      fc.property(revision, moves, (random, steps) => {
        const model = createModel(random);
        for (const step of steps) model.move(step);
        model.finish();
        assert.ok(model.isOver());
        for (const container of model.all) {
          assert.notEqual(container.status, 'INSTALLED', `${container.name} was forgotten`);
          if (!container.disturbed && suffices(container)) assert.ok(goalMet(container), `${container.name} missed`);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('needs no time where every goal can be met', () => {
    fc.assert(
      fc.property(revision, (random) => {
        const model = createModel({
          ...random,
          groups: random.groups.map(({ timeoutMs }) => ({ timeoutMs: timeoutMs + 1 })),
          containers: random.containers.map((each) => ({ ...each, fate: 'ready' as const })),
        });
        model.finish();
        assert.deepEqual([model.isOver(), model.nowMs(), model.missed], [true, 0, []]);
      }),
    );
  });
});
