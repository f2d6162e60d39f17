// What goes on while somebody is struck: how each phase is prepared, begun, judged and tidied up after.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { stepProgress } from '../../shared/schema/steps.ts';
import { ask, get } from '../../test/kit/api.ts';
import { eventually } from '../../test/kit/eventually.ts';
import { type Asked, isAccepted, put } from './asking.ts';
import type { Phase } from './case.ts';
import { ACTED, type Change, PATIENCE_MS, TALKER, type World } from './world.ts';

/** What a phase has begun. */
export interface Act {
  /** Resolves when it is over as far as it can be seen, with the requests that were made for it. */
  readonly over: Promise<readonly Asked[]>;
  /** Called when the tree is settled again: throws where something was lost. `accepted`: every request was answered with 200. */
  judge?(accepted: boolean): Promise<void>;
}

export interface PhaseRules {
  /** Containers whose pids may change; `all` by phases that end containers. */
  readonly touches: readonly string[] | 'all';
  /** The tree ends in it, or is not there when it begins. */
  readonly endsTree: boolean;
  /** The supervisor has ended when it is over, and somebody else starts the next one. */
  readonly leavesDown?: true;
  prepare?(world: World): Promise<void>;
  /** `id` differs from case to case. */
  begin(world: World, id: string): Promise<Act>;
}

const NOTHING: readonly string[] = [];
const LINES = 600;
const UPLOAD_PIECES = 12;
const PIECE_BYTES = 96 * 1024;
const PIECE_PAUSE_MS = 15;
const QUIET_MS = 150;

export const RULES: Readonly<Record<Phase, PhaseRules>> = {
  quiet: {
    touches: NOTHING,
    endsTree: false,
    begin: async () => ({ over: new Promise((resolve) => setTimeout(() => resolve([]), QUIET_MS)) }),
  },
  start: {
    touches: [ACTED],
    endsTree: false,
    prepare: (world) => act(world, 'stop'),
    begin: async (world) => ({ over: order(world, 'start'), judge: stands(world, 'false') }),
  },
  stop: {
    touches: [ACTED],
    endsTree: false,
    begin: async (world) => ({ over: order(world, 'stop'), judge: stands(world, 'true') }),
  },
  restart: {
    touches: [ACTED],
    endsTree: false,
    async begin(world) {
      const { [ACTED]: before } = await world.pids();
      return {
        over: order(world, 'restart'),
        async judge(accepted) {
          await stands(world, 'false')(accepted);
          if (accepted) assert.notEqual((await world.pids())[ACTED], before, 'it was restarted');
        },
      };
    },
  },
  'take-over': {
    touches: NOTHING,
    endsTree: true,
    prepare: (world) => end(world, 'SIGTERM'),
    begin: boots,
  },
  'cold boot': {
    touches: 'all',
    endsTree: true,
    prepare: (world) => end(world, 'SIGINT'),
    begin: boots,
  },
  leave: { touches: NOTHING, endsTree: true, leavesDown: true, begin: (world) => ends(world, 'SIGTERM') },
  end: { touches: 'all', endsTree: true, leavesDown: true, begin: (world) => ends(world, 'SIGINT') },
  update: { touches: [ACTED], endsTree: false, begin: (world, id) => update(world, 'acted', id) },
  'update by reboot': { touches: 'all', endsTree: true, begin: (world, id) => update(world, 'core', id) },
  'log flood': { touches: NOTHING, endsTree: false, begin: flood },
  upload: { touches: NOTHING, endsTree: false, begin: upload },
};

async function act(world: World, action: 'start' | 'stop'): Promise<void> {
  const { status, body } = await ask(world.tree.socket, 'PUT', `/containers/${ACTED}`, { action });
  assert.equal(status, 200, body);
  await world.settled([]);
}

/** Back to where every case begins. */
export async function tidy(world: World): Promise<void> {
  const rows = await world.settled([]);
  if (rows.some(({ user_stopped }) => user_stopped === 'true')) await act(world, 'start');
}

async function order(world: World, action: 'start' | 'stop' | 'restart'): Promise<readonly Asked[]> {
  const asked = await put(world.tree.socket, 'PUT', `/containers/${ACTED}`, [JSON.stringify({ action })]);
  // What was accepted goes on after its answer; a strike that comes after it is to meet that, too.
  if (isAccepted(asked)) await untilDone(world, action);
  return [asked];
}

/** Not longer than what is being done can take; whoever is struck meanwhile makes it longer, and is waited for elsewhere. */
async function untilDone(world: World, action: string): Promise<void> {
  const look = async () => {
    const row = (await world.rows()).find(({ name }) => name === ACTED);
    return action === 'stop' ? row?.status === 'STOPPED' : row?.status === 'STARTED';
  };
  await eventually(`${action} is done`, PATIENCE_MS, () => look().catch(() => false)).catch(() => undefined);
}

const stands = (world: World, userStopped: 'true' | 'false') => async (accepted: boolean) => {
  const row = (await world.rows()).find(({ name }) => name === ACTED);
  if (accepted) assert.equal(row?.user_stopped, userStopped, 'what was accepted holds');
};

async function end({ tree }: World, signal: 'SIGTERM' | 'SIGINT'): Promise<void> {
  assert.equal(await tree.endSupervisor(signal), 0, `the tree ends when it gets ${signal}`);
}

async function boots(world: World): Promise<Act> {
  world.start();
  return { over: untilUp(world) };
}

/** A supervisor that is struck does not come up; that the tree does is waited for elsewhere. */
async function untilUp(world: World): Promise<readonly Asked[]> {
  await world.settled([]).catch(() => undefined);
  return [];
}

async function ends(world: World, signal: 'SIGTERM' | 'SIGINT'): Promise<Act> {
  const { tree } = world;
  return { over: tree.endSupervisor(signal).then(() => []) };
}

/**
 * One that was begun runs in the end; one that nobody answered for, or that state-svc forgot because it died before it was begun (its
 * progress is still NEW), is asked for again, as a user would. By a reboot, the death of a tree of which
 * nothing is left but its disk is a power cut, and leads back to the rollback point: the last DONE one, which a live update does not move.
 */
async function update(world: World, change: Change, id: string): Promise<Act> {
  const { socket } = world.tree;
  const { revision: rollbackPoint } = world.boot();
  const to = await world.putOther(id.replaceAll(' ', '-'), change);
  const run = () => put(socket, 'POST', '/commands', [JSON.stringify({ op: 'LOCAL_RUN', payload: to })]);
  const status = async () => (await get(socket, `/steps/${to}/progress`, stepProgress)).status;
  const isAny = (...wanted: readonly string[]) =>
    status().then(
      (now) => wanted.includes(now),
      () => false,
    );
  const isOver = () => isAny('UPDATED', 'DONE', 'ERROR');
  const asked = await world.pidOf('state-svc');
  const isOther = (pid: number | undefined): boolean => pid !== undefined && pid !== asked;
  const isForgotten = async () => isOther(await world.pidOf('state-svc')) && (await isAny('NEW'));
  const over = async (): Promise<readonly Asked[]> => {
    const answered = await run();
    const ends = async () => (await isOver()) || (await isForgotten());
    if (isAccepted(answered)) await eventually('an end of the update', PATIENCE_MS, ends);
    return [answered];
  };
  return {
    over: over(),
    async judge() {
      // BUSY is 503: then it was taken the first time.
      if (!(await isOver())) await run();
      await eventually('an end of the update', PATIENCE_MS, isOver);
      await world.settled([]);
      const ends = change === 'acted' ? [to] : [to, rollbackPoint];
      assert.ok(ends.includes(world.running()), `${world.running()} runs, and not ${to}, which is ${await status()}`);
    },
  };
}

const TALK = `i=0
while [ $i -lt ${LINES} ]; do
  echo "$1 line $i ends"
  i=$((i + 1))
  [ $((i % 40)) -ne 0 ] || /bin/busybox usleep 10000
done > /dev/console`;

/** A container that says a lot on its console: every line of it reaches the log, once at least. */
async function flood(world: World, id: string): Promise<Act> {
  const { tree } = world;
  const { [TALKER]: pid } = await world.pids();
  const enter = ['nsenter', `--target=${pid}`, '--mount', '--root', '--'];
  const child = tree.spawnInside([...enter, '/bin/busybox', 'sh', '-c', TALK, 'talk', id]);
  const over = new Promise<readonly Asked[]>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => resolve([]));
  });
  return {
    over,
    async judge() {
      assert.equal(child.exitCode, 0, 'the container could say everything');
      const missing = (): readonly number[] => {
        const said = new Set(
          [...consoleOf(world).matchAll(new RegExp(`${id} line (\\d+) ends`, 'g'))].map(([, n]) => n),
        );
        return Array.from({ length: LINES }, (_, index) => index).filter((index) => !said.has(String(index)));
      };
      await eventually('all lines in the log', PATIENCE_MS, () => missing().length === 0).catch(() =>
        assert.fail(`${missing().length} of ${LINES} lines are not in the log: ${missing().slice(0, 20).join()}`),
      );
    },
  };
}

/** Of every revision: what was said is in the log of the one that ran. */
function consoleOf({ tree }: World): string {
  const logs = join(tree.storage, 'logs');
  return readdirSync(logs, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes(`${TALKER}/lxc/console.log`))
    .map((name) => contentOf(join(logs, name)))
    .join('\n');
}

function contentOf(path: string): string {
  if (!existsSync(path)) return '';
  const bytes = readFileSync(path);
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
}

/** An object, and then a note in user-meta: there in whole, or not at all, and a second time it works. */
async function upload(world: World, id: string): Promise<Act> {
  const { socket } = world.tree;
  const pieces = Array.from({ length: UPLOAD_PIECES }, () => randomBytes(PIECE_BYTES));
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  const digest = hash.digest('hex');
  const store = (pauseMs: number) => put(socket, 'PUT', `/objects/${digest}`, pieces, pauseMs);
  const over = async (): Promise<readonly Asked[]> => {
    const stored = await store(PIECE_PAUSE_MS);
    const commented = await put(socket, 'PUT', '/user-meta/last.upload', [id]);
    return [stored, commented];
  };
  return {
    over: over(),
    async judge(accepted) {
      const { status } = await ask(socket, 'GET', `/objects/${digest}`);
      assert.ok(status === 200 || (status === 404 && !accepted), `the object: ${status}`);
      const noted = JSON.parse((await ask(socket, 'GET', '/user-meta')).body)['last.upload'];
      if (accepted) assert.equal(noted, id, 'what was stored in user-meta is there');
      const again = await store(0);
      assert.ok(isAccepted(again), JSON.stringify(again.ending));
      const path = join(world.tree.storage, 'objects', digest);
      assert.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), digest, 'the object is whole');
    },
  };
}
