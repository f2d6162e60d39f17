// Waits until every container of a tree has met its goal without asking for it all the time, which would cost the tree as much as some
// containers do: one open GET /events, and GET /containers before the first and after the last change.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod/mini';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { PATIENCE_MS } from '../../test/kit/tree.ts';

/** Of a socket that is not there yet: finer than the figures. */
const LOOK_MS = 2;

const containerGoal = z.object({ name: z.string(), status: z.string(), status_goal: z.string() });
type ContainerGoal = z.output<typeof containerGoal>;

const isMet = ({ status, status_goal }: ContainerGoal): boolean => status === status_goal || status === 'READY';

/** The socket need not be there yet. Rejects when it takes longer than anything that is no error. */
export async function goalsMet(socketPath: string): Promise<void> {
  const late = AbortSignal.timeout(PATIENCE_MS);
  try {
    await followToGoals(socketPath, late);
  } catch (error) {
    throw late.aborted ? new Error(`all goals met: not within ${PATIENCE_MS} ms`) : error;
  }
}

async function followToGoals(socketPath: string, late: AbortSignal): Promise<void> {
  const response = await answer(socketPath, '/events', late);
  try {
    const events = followGoals(response);
    for (;;) {
      const before = events.told();
      const rows = await containers(socketPath, late);
      if (rows.length > 0 && rows.every(isMet)) return;
      await events.until(
        () => events.told() > before && rows.every((row) => isMet(events.ofContainer.get(row.name) ?? row)),
      );
    }
  } finally {
    response.destroy();
  }
}

/** None while the list is not known. */
async function containers(socketPath: string, signal: AbortSignal): Promise<readonly ContainerGoal[]> {
  const response = await answer(socketPath, '/containers', signal);
  const body = await text(response);
  return response.statusCode === 200 ? z.array(containerGoal).parse(JSON.parse(body)) : [];
}

interface GoalEvents {
  /** The last row of each container that was told of. */
  readonly ofContainer: ReadonlyMap<string, ContainerGoal>;
  /** Events so far. */
  told(): number;
  /** Resolves when `isSo`, looked at now and after each event; rejects when no more events come. */
  until(isSo: () => boolean): Promise<void>;
}

function followGoals(response: IncomingMessage): GoalEvents {
  const ofContainer = new Map<string, ContainerGoal>();
  let told = 0;
  let look: () => void = () => undefined;
  createInterface(response).on('line', (line) => {
    if (!line.startsWith('data: ')) return;
    told += 1;
    const row = containerGoal.safeParse(JSON.parse(line.slice(6)));
    if (row.success) ofContainer.set(row.data.name, row.data);
    look();
  });
  return {
    ofContainer,
    told: () => told,
    until: (isSo) =>
      new Promise((resolve, reject) => {
        response.once('close', () => reject(new Error('GET /events ended')));
        look = () => {
          if (isSo()) resolve();
        };
        look();
      }),
  };
}

/** Before somebody listens there is no socket, or it refuses. */
async function answer(socketPath: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  for (;;) {
    while (!existsSync(socketPath)) await delay(LOOK_MS, undefined, { signal });
    const outgoing = request({ socketPath, path, agent: false, signal }).end();
    try {
      const [response] = await once(outgoing, 'response');
      return response;
    } catch (error) {
      if (errorCode(error) !== 'ECONNREFUSED') throw error;
    }
    await delay(LOOK_MS, undefined, { signal });
  }
}
