// Root may put objects and revisions into a storage that is in use, as Pantavisor's own tools do. What is found to be somebody else's becomes ours
// before it is read, linked, or written into: the supervisor gives it.
import { lstatSync, type Stats } from 'node:fs';
import type { Logger } from '../../shared/log/logger.ts';
import { createTurn } from '../../shared/time/in-turn.ts';

export interface Ownership {
  /** `stats`: of what is at `path`. Resolves when that is ours, or gone, or cannot be ours, which is told once. Never rejects. */
  take(path: string, stats: Pick<Stats, 'uid'>): Promise<void>;
}

/** Where nobody gives anything. */
export const AS_IT_IS: Ownership = { take: async () => undefined };

interface OwnershipContext {
  /** Our user. */
  readonly uid: number;
  /** Has everything given that is not ours. */
  give(): Promise<unknown>;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

export function createOwnership({ uid, give, log }: OwnershipContext): Ownership {
  const refused = new Set<string>();
  const inTurn = createTurn();
  const ownerOf = (path: string): number => lstatSync(path, { throwIfNoEntry: false })?.uid ?? uid;
  /** Has not begun: each goes through all of the storage, so that it is one for all who come until then. False: nobody answered. */
  let coming: Promise<boolean> | undefined;
  const giveAll = (path: string, owner: number): Promise<boolean> => {
    log.info(`${path} was put there by user ${owner}: it is taken over`);
    return inTurn(async () => {
      coming = undefined;
      await give();
      return true;
    }).catch((error: unknown) => {
      log.warn(`${path} is not given: ${String(error)}`);
      return false;
    });
  };
  const takeOne = async (path: string): Promise<void> => {
    const owner = ownerOf(path);
    if (owner === uid) return;
    coming ??= giveAll(path, owner);
    const isAnswered = await coming;
    if (!isAnswered || ownerOf(path) === uid || refused.has(path)) return;
    refused.add(path);
    log.warn(
      `${path} belongs to user ${owner}, and cannot be given: it is of no use until "chown -R ${uid}:${uid}" of it`,
    );
  };
  return {
    async take(path, stats) {
      if (stats.uid === uid || refused.has(path)) return;
      await takeOne(path).catch((error: unknown) => log.warn(`${path} is not given: ${String(error)}`));
    },
  };
}
