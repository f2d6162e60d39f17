// Learns from state-svc what user-meta says about the configuration; state-svc may come later, go and come back.
import { setTimeout as delay } from 'node:timers/promises';
import { findKey, type Written } from '../../shared/config/settings.ts';
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { stateContract } from '../state-svc/contract.ts';

/** The request waits in the broker while state-svc starts. */
const DEADLINE_MS = 60_000;
const RETRY_MS = 5_000;

interface Override {
  readonly key: string;
  readonly value: string;
}

/** `apply` is given all overrides of what logs are about, each time that they changed. Returns at once; the result ends what is under way. */
export function feedSettings(channel: Channel, log: Logger, apply: (all: readonly Written[]) => void): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;
  /** What an event said is newer than the answer to a question of before. */
  let told = 0;
  let last = '[]';
  const take = (overrides: readonly Override[]): void => {
    told += 1;
    const ours = overrides.flatMap(({ key: name, value }): Written[] => {
      const key = findKey(name);
      return key?.startsWith('PV_LOG_') === true ? [{ key, value, origin: 'user meta' }] : [];
    });
    if (JSON.stringify(ours) === last) return;
    last = JSON.stringify(ours);
    log.info(`log settings of user-meta: ${ours.map(({ key, value }) => `${key}=${value}`).join(' ') || 'none'}`);
    apply(ours);
  };
  const load = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        const before = told;
        const answer = await channel.client(stateContract).listOverrides({}, { deadlineMs: DEADLINE_MS, signal });
        if (answer.ok && told === before) take(answer.value.overrides);
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.debug(`state-svc does not say what user-meta overrides, asking again: ${String(error)}`);
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  };
  channel.subscribe(stateContract, 'overridesChanged', {
    onEvent: ({ overrides }) => take(overrides),
    onLost: () => void load(),
  });
  void load();
  return () => stopped.abort();
}
