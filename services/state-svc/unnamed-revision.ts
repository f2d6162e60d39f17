// Which revision is taken where none is named: what Pantavisor left says so (shared/revision/stock-boot.ts), or how far revisions had come here.
import { isDamaged } from '../../shared/kernel/system-error.ts';
import { type StockBoot, stockBoot } from '../../shared/revision/stock-boot.ts';
import { FACTORY } from '../../shared/schema/names.ts';
import { type BootState, MAX_NAMED } from './boot-state.ts';
import { awaitsReboot, isGood } from './step-progress.ts';
import type { StepStore } from './step-store.ts';

export type KnownSteps = Pick<StepStore, 'list' | 'progress' | 'arrivedMs' | 'toldMs' | 'stateText'>;

/** No Berth has run here. Throws where what Pantavisor left cannot be read. */
export async function unnamedRevision(storage: string, steps: KnownSteps): Promise<BootState> {
  const { revision = FACTORY, tried, startedLast, isCertain } = stockBoot(storage);
  if (isCertain) return { revision, ...(tried === undefined ? {} : await goingOn(tried, steps)) };
  const good = withoutFactory(await foundGood(steps, steps.arrivedMs));
  return doubtful(revision, new Set([...good, ...(startedLast === undefined ? [] : [startedLast])]));
}

/**
 * Berth has run here, and what it wrote of it cannot be read: the one that was found good last. What Pantavisor left says no more than what ran
 * before Berth did. Nothing is known any more of what was being tried.
 */
export async function lostRevision(storage: string, steps: KnownSteps): Promise<BootState> {
  const found = await foundGood(steps, steps.toldMs);
  const good: string[] = [];
  for (const name of found) {
    const text = await steps.stateText(name).catch(() => undefined);
    if (text !== undefined) good.push(name);
  }
  const revision = good.at(-1) ?? stockIfReadable(storage)?.revision ?? FACTORY;
  return doubtful(revision, new Set(withoutFactory(good)));
}

/** That says it was found good from its first start on. */
function withoutFactory(names: readonly string[]): readonly string[] {
  return names.filter((name) => name !== FACTORY);
}

function doubtful(revision: string, others: Set<string>): BootState {
  others.delete(revision);
  // Nothing is tried by itself: its commit would be taken for the user's answer.
  return others.size === 0 ? { revision } : { revision, assumedBeside: [...others].slice(-MAX_NAMED) };
}

function stockIfReadable(storage: string): StockBoot | undefined {
  try {
    return stockBoot(storage);
  } catch (error) {
    if (isDamaged(error)) return undefined;
    throw error;
  }
}

/** What comes of the one that the boot loader would try next. One that was being tried was not committed, so nothing does. */
async function goingOn(revision: string, steps: KnownSteps): Promise<Pick<BootState, 'updated' | 'trying'>> {
  const progress = await steps.progress(revision);
  if (progress.status === 'UPDATED') return { updated: { revision, once: false } };
  return awaitsReboot(progress) ? { trying: { revision, way: 'reboot', once: false } } : {};
}

/** Latest last, by that time. */
async function foundGood(
  steps: KnownSteps,
  timeOf: (name: string) => Promise<number | undefined>,
): Promise<readonly string[]> {
  const good: { readonly name: string; readonly ms: number }[] = [];
  for (const name of await steps.list()) {
    if (isGood(await steps.progress(name))) good.push({ name, ms: (await timeOf(name)) ?? 0 });
  }
  return good.sort((a, b) => a.ms - b.ms).map(({ name }) => name);
}
