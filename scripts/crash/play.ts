// Plays one case: begins its phase, strikes, waits until the tree is well again, and holds everything that must be so against it.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { eventually } from '../../test/kit/eventually.ts';
import { type Ping, startPing } from '../../test/kit/traffic.ts';
import { descriptorsOf, differences, inventoryOf } from '../sandbox/inventory.ts';
import { OUTSIDE_ADDRESS } from '../sandbox/sandbox.ts';
import { type Asked, complaintAbout, isAccepted, startAsker } from './asking.ts';
import type { CrashCase } from './case.ts';
import { type PhaseRules, RULES, tidy } from './phases.ts';
import type { Stage } from './stage.ts';
import { type Blow, strike } from './strike.ts';
import { type Leases, PATIENCE_MS, STEADY, type World } from './world.ts';

/** Of a kind that comes and goes: connections, files that are being read, threads that hash. */
const PASSING_DESCRIPTORS = 4;
/** One may be on its way when the count ends. */
const ON_THE_WAY = 1;

export interface Outcome {
  readonly crash: CrashCase;
  /** From the last strike until everything is well. */
  readonly healthyMs: number;
  /** From a SIGKILL of a service until it is ready again, where the supervisor was left alone. */
  readonly restartsMs: readonly number[];
  /** Requests that were made meanwhile, and the longest that one waited. */
  readonly requests: number;
  readonly longestAnswerMs: number;
  readonly packets: number;
  /** All of the case. */
  readonly tookMs: number;
  /** Processes that were there to be struck. */
  readonly struck: number;
  readonly failure: string | undefined;
}

type Figures = Omit<Outcome, 'crash' | 'failure' | 'tookMs'>;

export async function play(stage: Stage, crash: CrashCase, id: string): Promise<Outcome> {
  const none: Figures = { healthyMs: 0, restartsMs: [], requests: 0, longestAnswerMs: 0, packets: 0, struck: 0 };
  const began = performance.now();
  const tookMs = (): number => performance.now() - began;
  try {
    const figures = await attempt(stage, crash, id);
    return { crash, ...figures, tookMs: tookMs(), failure: undefined };
  } catch (error) {
    const failure = `${reasonOf(error)}\n${await stage.world.evidence()}`;
    return { crash, ...none, tookMs: tookMs(), failure };
  }
}

async function attempt(stage: Stage, crash: CrashCase, id: string): Promise<Figures> {
  const { world, takesMs } = stage;
  const rules = RULES[crash.phase];
  const before = { pids: await world.pids(), leases: await world.leases() };
  await rules.prepare?.(world);
  const witnesses = await callWitnesses(world, rules, before.leases);
  try {
    const act = await rules.begin(world, id);
    const over = settledLater(act.over);
    await delay(crash.point * (takesMs.get(crash.phase) ?? 0));
    const blow = await strike(world, crash, rules.leavesDown);
    if (rules.leavesDown) {
      await over;
      world.start();
    }
    await world.settled(blow.pids);
    const healthyMs = performance.now() - blow.atMs;
    const own = await over;
    if (own instanceof Error) throw own;
    await world.settled([]);
    const { asked, packets } = await witnesses.dismiss();
    await hold(stage, crash, rules, [...own, ...asked], before.pids);
    await act.judge?.(own.every(isAccepted));
    await tidy(world);
    assert.deepEqual(await world.leases(), before.leases, 'leases');
    await nothingIsLeft(stage);
    return { healthyMs, ...(await figuresOf(blow, [...own, ...asked])), packets };
  } finally {
    await witnesses.dismiss();
  }
}

async function figuresOf({ restarts, struck }: Blow, asked: readonly Asked[]) {
  const longestAnswerMs = asked.reduce((longest, { ms }) => Math.max(longest, ms), 0);
  return { restartsMs: await restarts, struck, requests: asked.length, longestAnswerMs };
}

/** Never rejects: whoever waits for it may come late. */
const settledLater = <T>(promise: Promise<T>): Promise<T | Error> =>
  promise.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));

async function hold(
  { world }: Stage,
  { strikes }: CrashCase,
  rules: PhaseRules,
  asked: readonly Asked[],
  pidsBefore: Readonly<Record<string, number | null>>,
): Promise<void> {
  const hits = (victim: string): boolean => strikes.some((one) => one.victim === victim);
  const tree = rules.endsTree || hits('supervisor');
  const complaints = asked.flatMap((one) => complaintAbout(one, { ctl: hits('ctl-svc') || tree, tree }) ?? []);
  assert.deepEqual(complaints, [], 'requests that did not end as they should');
  const untouched = (pids: Readonly<Record<string, number | null>>) =>
    Object.entries(pids).filter(([name]) => rules.touches !== 'all' && !rules.touches.includes(name));
  assert.deepEqual(untouched(await world.pids()), untouched(pidsBefore), 'pids of containers that nobody touched');
}

interface Witnesses {
  /** Ends pings and requests; throws when packets were lost. The second time it does nothing. */
  dismiss(): Promise<{ readonly asked: readonly Asked[]; readonly packets: number }>;
}

/** Requests all the time; and pings, where those between whom they go are to live through it. */
async function callWitnesses(world: World, { touches }: PhaseRules, leases: Leases): Promise<Witnesses> {
  const pings = touches === 'all' ? [] : await startPings(world, leases);
  const asker = startAsker(world.tree.socket);
  let isOver = false;
  return {
    async dismiss() {
      if (isOver) return { asked: [], packets: 0 };
      isOver = true;
      const asked = await asker.stop();
      let packets = 0;
      let lost = 0;
      for (const ping of pings) {
        const { sent, received } = await ping.stop();
        packets += sent;
        lost += Math.max(0, sent - received - ON_THE_WAY);
      }
      assert.equal(lost, 0, `${lost} of ${packets} packets lost`);
      return { asked, packets };
    },
  };
}

async function startPings(world: World, leases: Leases): Promise<readonly Ping[]> {
  const [from, to] = STEADY;
  const address = leases.find(({ owner }) => owner === to)?.address;
  assert.ok(address, `${to} has a lease`);
  const pings = [startPing(world.tree, from, address), startPing(world.tree, from, OUTSIDE_ADDRESS)];
  for (const ping of pings) await ping.entered();
  return pings;
}

async function nothingIsLeft({ world: { tree }, inventory, descriptors }: Stage): Promise<void> {
  const look = (): readonly string[] => {
    const now = descriptorsOf(tree);
    const more = [...descriptors].flatMap(([name, count]) => {
      const open = now.get(name);
      return open !== undefined && open <= count + PASSING_DESCRIPTORS
        ? []
        : [`descriptors of ${name}: ${count} → ${open}`];
    });
    return [...differences(inventory, inventoryOf(tree)), ...more];
  };
  const said = await eventually('nothing is left', PATIENCE_MS, () => look().length === 0).catch(look);
  if (said !== true) assert.deepEqual(said, [], 'what is left, or missing');
}
