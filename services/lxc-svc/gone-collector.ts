// Collects volumes of gone revisions after containers were mounted: once for all that are mounted together, never twice at a time, and what
// cannot be removed on one disk holds up no other. Nobody waits for it, nor does the process.
import type { Logger } from '../../shared/log/logger.ts';
import { type DiskRoot, type RemovalOptions, removeGoneRevisions } from './gone-revisions.ts';

/** After the last of a group of containers is mounted, on a slow board. */
const COLLECT_MS = 1_000;

/** What it answers takes the disks that are open. */
export function createGoneCollector(
  { places, used }: Pick<RemovalOptions, 'places' | 'used'>,
  log: Logger,
): (roots: readonly DiskRoot[]) => void {
  const rootsToLookAt = new Map<string, DiskRoot>();
  const said = new Set<string>();
  let isUnderWay = false;
  /** Each mount would find it again. */
  const warnOnce = (text: string): void => {
    if (!said.has(text)) log.warn(text);
    said.add(text);
  };
  const onStuck = (folder: string, error: unknown): void =>
    warnOnce(`${folder}, of a revision that is gone, cannot be removed: ${String(error)}`);
  const collectOf = async (root: DiskRoot): Promise<void> => {
    try {
      for (const revision of await removeGoneRevisions(root, { places, used, onStuck }))
        log.info(`volumes of revision ${revision}, which is gone, are removed`);
    } catch (error) {
      warnOnce(`volumes of revisions that are gone stay in ${root.root}: ${String(error)}`);
    }
  };
  const collectSoon = (): void => {
    isUnderWay = true;
    setTimeout(async () => {
      const roots = [...rootsToLookAt.values()];
      rootsToLookAt.clear();
      for (const root of roots) await collectOf(root);
      isUnderWay = false;
      if (rootsToLookAt.size > 0) collectSoon();
    }, COLLECT_MS).unref();
  };
  return (roots) => {
    for (const place of roots) rootsToLookAt.set(place.root, place);
    if (!isUnderWay) collectSoon();
  };
}
