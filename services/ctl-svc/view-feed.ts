// Keeps the view fresh: subscribes to state-svc, takes snapshots, and serves the lists as bytes from memory, so that a
// hanging or restarting state-svc costs no caller a delay.
import { Buffer } from 'node:buffer';
import { setTimeout as wait } from 'node:timers/promises';
import type { Channel } from '../../shared/ipc/contract.ts';
import { allPages } from '../../shared/ipc/page.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { stateContract } from '../state-svc/contract.ts';
import { supervisorContract } from '../supervisor/contract.ts';
import { advance, emptyView, type Rows, type View, type ViewEvent } from './view.ts';

/** Milliseconds a request waits for the first snapshot: answers to `ls` are due within 2 s, whatever state-svc does. */
const FIRST_SNAPSHOT_WAIT_MS = 1_500;
const SNAPSHOT_DEADLINE_MS = 2_000;
/** Milliseconds between attempts while state-svc answers none. */
const RETRY_MS = 100;

export interface ViewFeed {
  /** The present rows; undefined when there is no snapshot yet and none came within the wait. */
  readonly rows: () => Promise<Rows | undefined>;
  /** The JSON of GET /containers and GET /groups, serialised once per change. Undefined as above. */
  readonly containersJson: () => Promise<Uint8Array | undefined>;
  readonly groupsJson: () => Promise<Uint8Array | undefined>;
  readonly stop: () => void;
}

export function createViewFeed(channel: Channel, log: Logger): ViewFeed {
  const state = channel.client(stateContract);
  const stopped = new AbortController();
  let view: View = emptyView;
  /** Attempts in a row: the log hears of the first and of the end. */
  let failures = 0;
  let announceFirst: () => void = () => undefined;
  const first = new Promise<void>((resolve) => {
    announceFirst = resolve;
  });

  const apply = (event: ViewEvent): void => {
    const step = advance(view, event);
    view = step.view;
    if (view.rows !== undefined) announceFirst();
    if (step.effect === 'takeSnapshot') void takeSnapshot();
    else if (step.effect === 'retryLater') void retryLater();
  };
  const outdated = (): void => apply({ kind: 'outdated' });

  const takeSnapshot = async (): Promise<void> => {
    const options = { deadlineMs: SNAPSHOT_DEADLINE_MS, signal: stopped.signal };
    try {
      const [containers, groups] = await Promise.all([
        allPages(async (after) => {
          const page = declared(await state.listContainers({ after }, options));
          return { rows: page.containers, next: page.next };
        }),
        allPages(async (after) => {
          const page = declared(await state.listGroups({ after }, options));
          return { rows: page.groups, next: page.next };
        }),
      ]);
      if (failures > 0) log.info(`state-svc answers again after ${failures} failed attempts`);
      failures = 0;
      apply({ kind: 'snapshotTaken', containers, groups });
    } catch (error) {
      if (stopped.signal.aborted) return;
      if (failures++ === 0) log.warn(`no list of containers from state-svc: ${String(error)}; trying until it answers`);
      apply({ kind: 'snapshotFailed' });
    }
  };
  const retryLater = async (): Promise<void> => {
    const again = await wait(RETRY_MS, true, { signal: stopped.signal }).catch(() => false);
    if (again) outdated();
  };

  const onLost = outdated;
  channel.subscribe(stateContract, 'containerChanged', {
    onEvent: ({ container }) => apply({ kind: 'containerChanged', container }),
    onLost,
  });
  channel.subscribe(stateContract, 'groupChanged', {
    onEvent: ({ group }) => apply({ kind: 'groupChanged', group }),
    onLost,
  });
  channel.subscribe(stateContract, 'revisionChanged', { onEvent: outdated, onLost });
  // What a state-svc said between its last event and its death is known to its successor only.
  channel.subscribe(supervisorContract, 'serviceChanged', {
    onEvent: ({ service, state: now }) => {
      if (service === 'state-svc' && now === 'ready') outdated();
    },
    onLost,
  });
  outdated();

  const rows = async (): Promise<Rows | undefined> => {
    if (view.rows === undefined) await firstWithin(first, FIRST_SNAPSHOT_WAIT_MS);
    return view.rows;
  };
  const containersJson = cachedJson((known) => [...known.containers.values()]);
  const groupsJson = cachedJson((known) => [...known.groups.values()]);
  return {
    rows,
    containersJson: async () => containersJson(view.rows ?? (await rows())),
    groupsJson: async () => groupsJson(view.rows ?? (await rows())),
    stop: () => stopped.abort(),
  };
}

/** These requests declare no errors. */
function declared<T>(answer: { readonly ok: true; readonly value: T } | { readonly ok: false }): T {
  if (!answer.ok) throw new Error('an error that the contract does not declare');
  return answer.value;
}

async function firstWithin(first: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([first, enough]);
  clearTimeout(timer);
}

/** Rows are never changed in place, so the same object has the same bytes. */
function cachedJson(select: (rows: Rows) => readonly unknown[]): (rows: Rows | undefined) => Uint8Array | undefined {
  let cached: { readonly rows: Rows; readonly bytes: Uint8Array } | undefined;
  return (rows) => {
    if (rows === undefined) return undefined;
    if (cached?.rows !== rows) cached = { rows, bytes: Buffer.from(JSON.stringify(select(rows))) };
    return cached.bytes;
  };
}
