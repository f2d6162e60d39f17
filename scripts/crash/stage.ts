// What cases are played on: a tree, and what is known of it while nobody is struck.
import assert from 'node:assert/strict';
import { descriptorsOf, type Inventory, inventoryOf } from '../sandbox/inventory.ts';
import { complaintAbout } from './asking.ts';
import { PHASES, type Phase } from './case.ts';
import { RULES, tidy } from './phases.ts';
import { openWorld, type World } from './world.ts';

/** A tree on which every phase was played once with nobody struck. */
export interface Stage {
  readonly world: World;
  readonly inventory: Inventory;
  readonly descriptors: ReadonlyMap<string, number>;
  /** What each phase took. */
  readonly takesMs: ReadonlyMap<Phase, number>;
}

export async function openStage(): Promise<Stage> {
  const world = await openWorld();
  try {
    const takesMs = new Map<Phase, number>();
    for (const phase of PHASES) takesMs.set(phase, await rehearse(world, phase));
    return { world, inventory: inventoryOf(world.tree), descriptors: descriptorsOf(world.tree), takesMs };
  } catch (error) {
    const evidence = await world.evidence();
    await world.close();
    throw new Error(`a phase fails where nobody is struck: ${error}\n${evidence}`);
  }
}

/** Resolves with the milliseconds that it takes. */
async function rehearse(world: World, phase: Phase): Promise<number> {
  const { prepare, begin, endsTree, leavesDown } = RULES[phase];
  await prepare?.(world);
  const began = performance.now();
  const act = await begin(world, `calm ${phase}`);
  const asked = await act.over;
  const tookMs = performance.now() - began;
  if (leavesDown) world.start();
  const complaints = asked.flatMap((one) => complaintAbout(one, { ctl: false, tree: endsTree }) ?? []);
  assert.deepEqual(complaints, [], phase);
  await world.settled([]);
  await act.judge?.(true);
  await tidy(world);
  return tookMs;
}
