// Learns from lxc-svc which containers have raw log files, and where; lxc-svc may come later, go and come back.
import { setTimeout as delay } from 'node:timers/promises';
import type { Channel } from '../../shared/ipc/contract.ts';
import { allPages } from '../../shared/ipc/page.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { lxcContract } from '../lxc-svc/contract.ts';
import type { ContainerTails } from './container-tails.ts';
import type { ContainerLog } from './log-flow.ts';

interface LogPath {
  readonly source: ContainerLog['source'];
  readonly path: string;
}

/** The snapshot waits in the broker while lxc-svc starts. */
const SNAPSHOT_DEADLINE_MS = 60_000;
const RETRY_MS = 5_000;

/** `folder`: the only place from which files are read. Returns at once; `stop` ends what is under way. */
export function feedFromLxc(channel: Channel, tails: ContainerTails, folder: string, log: Logger): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;
  const follow = (container: string, logs: readonly LogPath[]): void => {
    for (const { source, path } of logs) {
      if (isBelow(path, folder)) tails.follow({ container, source }, path);
      else log.error(`${source} of ${container} is not followed: ${path} is not below ${folder}`);
    }
  };
  /** What an event said while a snapshot was under way is newer than the snapshot. */
  const mountedSince = new Set<string>();
  const takeSnapshot = async (): Promise<void> => {
    const client = channel.client(lxcContract);
    while (!signal.aborted) {
      try {
        mountedSince.clear();
        const known = await allPages(async (after) => {
          const options = { deadlineMs: SNAPSHOT_DEADLINE_MS, signal };
          const answer = await client.listContainers({ after }, options);
          // It has no declared errors.
          return answer.ok ? { rows: answer.value.containers, next: answer.value.next } : { rows: [], next: undefined };
        });
        const mounted = known.filter((container) => container.mounted);
        const names = new Set([...mounted.map(({ container }) => container), ...mountedSince]);
        for (const gone of tails.containers().filter((name) => !names.has(name))) tails.unfollow(gone);
        for (const { container, logs } of mounted) follow(container, logs);
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.debug(`lxc-svc does not say which containers there are, asking again: ${String(error)}`);
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  };
  const onLost = (): void => void takeSnapshot();
  channel.subscribe(lxcContract, 'containerMounted', {
    onEvent({ container, logs }) {
      mountedSince.add(container);
      follow(container, logs);
    },
    onLost,
  });
  channel.subscribe(lxcContract, 'containerUnmounted', {
    onEvent: ({ container }) => tails.unfollow(container),
    onLost,
  });
  void takeSnapshot();
  return () => stopped.abort();
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`) && !path.split('/').includes('..');
}
