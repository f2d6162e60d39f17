// Which target a hardware test runs on: what `npm run hw` was told, by way of the environment.
import { rmSync } from 'node:fs';
import process from 'node:process';
import type { TestContext } from 'node:test';
import { FEATURES, type Feature, type Target } from './target.ts';
import { openBoard } from './targets/board.ts';
import { openLocal } from './targets/local.ts';
import { type GuestInit, openVm } from './targets/vm.ts';

export type TargetName = 'local' | 'vm' | 'ssh';

export function targetName(): TargetName {
  const { BERTH_HW_TARGET: name = 'local' } = process.env;
  if (name === 'local' || name === 'vm' || name === 'ssh') return name;
  throw new Error(`BERTH_HW_TARGET=${name}: must be local, vm or ssh`);
}

/** Of a run that is to be repeated exactly. */
export function seed(): number {
  return Number(process.env.BERTH_HW_SEED ?? 1);
}

/**
 * `revision`: a storage folder that `berth pack` wrote; it goes with the target. `init`: of the emulated machine; others have one. Nothing is
 * powered on yet.
 */
export async function openTarget(revision: string, init: GuestInit = 'busybox'): Promise<Target> {
  const target = await open(revision, init);
  const { close } = target;
  return Object.assign(target, {
    async close() {
      await close();
      rmSync(revision, { recursive: true, force: true });
    },
  });
}

async function open(revision: string, init: GuestInit): Promise<Target> {
  switch (targetName()) {
    case 'local':
      return await openLocal(revision);
    case 'vm':
      return await openVm(revision, console.error, init);
    case 'ssh': {
      const { BERTH_HW_SSH: host, BERTH_HW_POWER: power, BERTH_HW_FEATURES: features = 'reboot,init' } = process.env;
      if (host === undefined) throw new Error('BERTH_HW_SSH names no board, for instance root@board');
      return await openBoard({ host, power, features: features.split(',').filter(isFeature) }, revision);
    }
  }
}

function isFeature(name: string): name is Feature {
  return FEATURES.some((feature) => feature === name);
}

/** Skips the test, with the reason, on a target that cannot do what it is about. */
export function needs(test: TestContext, target: Target, ...features: readonly Feature[]): boolean {
  const reason = features.map((feature) => target.lacks(feature)).find((each) => each !== undefined);
  if (reason !== undefined) test.skip(reason);
  return reason === undefined;
}
