// Scenarios of groups and goals: order, inheritance, readiness, containers that are only mounted.
import assert from 'node:assert/strict';
import * as z from 'zod/mini';
import { type ContainerRow, groupRow } from '../../shared/schema/api.ts';
import { ask, get } from '../kit/api.ts';
import type { Tree } from '../kit/tree.ts';
import { act, LOG, logged, rowOf, says, untilRow, untilStatus } from './look.ts';
import type { Stage } from './scenario.ts';

async function groupStatuses(tree: Tree): Promise<Readonly<Record<string, string>>> {
  const rows = await get(tree.socket, '/groups', z.array(groupRow));
  return Object.fromEntries(rows.map(({ name, status }) => [name, status]));
}

/** Where a line of pantavisor.log is; the test fails without it. */
function placeInLog(tree: Tree, text: string): number {
  const place = tree.readLog(LOG).indexOf(text);
  assert.notEqual(place, -1, `the log does not say '${text}'`);
  return place;
}

function comesBefore(tree: Tree, first: string, then: string): void {
  assert.ok(placeInLog(tree, first) < placeInLog(tree, then), `'${then}' came before '${first}'`);
}

export async function groupInheritance(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  await logged(tree, LOG, /revision 0 is READY/);
  comesBefore(tree, 'container foundation: STARTING -> STARTED', 'container plain: INSTALLED -> MOUNTED');
  comesBefore(tree, 'container foundation: STARTING -> STARTED', 'container special: INSTALLED -> MOUNTED');
  assert.deepEqual(await groupStatuses(tree), { base: 'READY', workers: 'READY' });

  const [plain, special] = [await rowOf(tree, 'plain'), await rowOf(tree, 'special')];
  assert.deepEqual([plain.group, plain.status_goal, plain.restart_policy], ['workers', 'STARTED', 'container']);
  const group = { policy: 'always', max_retries: 2, stable_timeout: 1, backoff_policy: 'never' };
  const { is_stable: _, ...recovery } = plain.auto_recovery ?? {};
  assert.deepEqual(recovery, { ...group, current_retries: 0 });
  assert.deepEqual([special.restart_policy, special.user_stopped], ['system', undefined]);
  const { is_stable: _stable, ...own } = special.auto_recovery ?? {};
  const written = { policy: 'on-failure', max_retries: 1, backoff_policy: '10min' };
  assert.deepEqual(own, { ...written, current_retries: 0, stable_timeout: 0 });

  assert.equal((await ask(tree.socket, 'PUT', '/containers/special', { action: 'stop' })).status, 403);
  tree.inside(['kill', '-KILL', String(plain.pid)]);
  await untilRow(tree, 'plain', ({ status, restarts }) => status === 'STARTED' && restarts === 1);
  return 'plain has goal, restart policy and recovery of its group; special has its own, with defaults and not the group’s';
}

export async function readySignal(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  assert.equal((await untilStatus(tree, 'client', 'STARTED')).status_goal, 'STARTED');
  assert.equal((await rowOf(tree, 'database')).status, 'READY');
  await says(tree, 'database', /signal ready: 200/);
  await says(tree, 'client', /signal ready: \{"Error":"Signal not expected from this platform"\}/);
  await logged(tree, LOG, /group storage is STARTED/);
  await logged(tree, LOG, /revision 0 is READY/);
  comesBefore(tree, 'container database: STARTED -> READY', 'container client: INSTALLED -> MOUNTED');

  await act(tree, 'database', 'restart');
  await untilRow(tree, 'database', ({ status, restarts }) => status === 'READY' && restarts === 1);
  return 'client is mounted after the signal of database, which is READY again after a restart; a signal of client is refused';
}

export async function dataOnly(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  const maps = await rowOf(tree, 'maps');
  assert.deepEqual([maps.status, maps.status_goal, maps.pid], ['MOUNTED', 'MOUNTED', null]);
  assert.equal((await groupStatuses(tree)).data, 'READY');
  const file = `${tree.rundir}/lxc/maps/rootfs/maps/europe.txt`;
  assert.equal(tree.inside(['cat', file]).stdout, 'here be dragons\n');
  assert.doesNotMatch(tree.inside(['ps', '-e', '-o', 'args']).stdout, /lxc.*\bmaps\b/);
  await logged(tree, LOG, /revision 0 is READY/);
  comesBefore(tree, 'container maps: INSTALLED -> MOUNTED', 'container reader: INSTALLED -> MOUNTED');

  // Nothing of it runs, so a restart of Berth has nothing to adopt but its mount.
  await tree.endSupervisor('SIGTERM');
  tree.start();
  await tree.up();
  assert.equal((await rowOf(tree, 'maps')).status, 'MOUNTED');
  return 'maps is MOUNTED, has no process, its group is READY and reader came after it';
}

export async function configOverlay(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  for (const cycle of [1, 2]) {
    await says(tree, 'greeter', new RegExp(`(greeting: hello from the revision[\\s\\S]*){${cycle}}`));
    await says(tree, 'greeter', /extra: a file that the image does not have/);
    const started = (row: ContainerRow): boolean => row.status === 'STARTED' && row.restarts === cycle - 1;
    const { pid } = await untilRow(tree, 'greeter', started);
    const written = tree.inside(['cat', `/proc/${pid}/root/etc/greeting`]).stdout;
    assert.equal(written, 'hello from the writable layer\n');
    if (cycle === 1) await act(tree, 'greeter', 'restart');
  }
  assert.doesNotMatch(tree.readLog('greeter/lxc/console.log'), /hello from the image/);
  return 'the revision’s /etc/greeting lies over the image’s, again after a restart; what the container wrote is gone then';
}

export async function roleMgmt(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  const worker = await untilRow(tree, 'worker', ({ restarts, status }) => restarts === 1 && status === 'STARTED');
  assert.equal(worker.user_stopped, 'false');
  await says(tree, 'inspector', /read in the log of worker: worker runs/);
  await says(tree, 'inspector', /worker is STOPPED[\s\S]*worker is STARTED/);
  await says(tree, 'worker', /may I see the others\? \{"Error":"Request not sent from a mgmt platform"\}/);
  const foldersSeenBy = async (container: string): Promise<string> => {
    const { pid } = await rowOf(tree, container);
    return tree.inside(['find', `/proc/${pid}/root/pantavisor/logs`]).stdout;
  };
  assert.match(await foldersSeenBy('inspector'), /worker/);
  assert.doesNotMatch(await foldersSeenBy('worker'), /inspector/);
  return 'inspector reads worker’s log, stops it and starts it; worker is refused, and finds no log but its own';
}
