// Scenarios of one container's life: stops, ends, failures, and what recovery makes of them.
import assert from 'node:assert/strict';
import { ask } from '../kit/api.ts';
import { followStatuses } from '../kit/events.ts';
import { eventually } from '../kit/eventually.ts';
import { PATIENCE_MS, type Tree } from '../kit/tree.ts';
import { act, LOG, logged, rowOf, says, unhealthy, untilRow, untilStatus } from './look.ts';
import type { Stage } from './scenario.ts';

const secondsSince = (began: number): string => `${((performance.now() - began) / 1000).toFixed(1)} s`;

/** Nothing of it is mounted, and none of its processes is there. Not at once: a stop may have a step left when its status is told. */
async function isGone(tree: Tree, container: string): Promise<void> {
  await eventually(`nothing of ${container} is mounted`, PATIENCE_MS, () => {
    const mounts = tree.inside(['cat', '/proc/self/mounts']).stdout;
    return mounts !== '' && !mounts.includes(`/lxc/${container}/`);
  });
  await eventually(`nothing of ${container} runs`, PATIENCE_MS, () => {
    const processes = tree.inside(['ps', '-e', '-o', 'args']).stdout;
    return processes !== '' && !new RegExp(`lxc.*\\b${container}\\b`).test(processes);
  });
}

export async function obedientStop(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  await says(tree, 'tidy', /tidy runs/);
  const feed = await followStatuses(tree.socket);
  const began = performance.now();
  await act(tree, 'tidy', 'stop');
  const stopped = await untilStatus(tree, 'tidy', 'STOPPED');
  const took = secondsSince(began);
  assert.deepEqual([stopped.exit?.status, stopped.user_stopped], [{ kind: 'code', code: 0 }, 'true']);
  await says(tree, 'tidy', /all is put away/);
  await eventually('its statuses', PATIENCE_MS, () => feed.seen.includes('tidy STOPPED'));
  assert.deepEqual(feed.seen, ['tidy STOPPING', 'tidy STOPPED']);
  feed.close();
  await isGone(tree, 'tidy');
  const again = await ask(tree.socket, 'PUT', '/containers/tidy', { action: 'stop' });
  assert.equal(again.status, 200, again.body);

  await tree.endSupervisor('SIGTERM');
  tree.start();
  assert.equal((await untilStatus(tree, 'tidy', 'STOPPED')).user_stopped, 'true');
  const second = await stage.powerCut(tree);
  assert.equal((await untilStatus(second, 'tidy', 'STOPPED')).user_stopped, 'true');
  await act(second, 'tidy', 'start');
  assert.equal((await untilStatus(second, 'tidy', 'STARTED')).user_stopped, 'false');
  return `stopped after ${took} with exit code 0, and stays so over a restart and a power cut until it is started`;
}

export async function deafStop(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  await says(tree, 'deaf', /deaf runs/);
  const { pid } = await rowOf(tree, 'neighbour');
  const feed = await followStatuses(tree.socket);
  const began = performance.now();
  await act(tree, 'deaf', 'stop');
  assert.equal((await rowOf(tree, 'deaf')).status, 'STOPPING');
  const early = await ask(tree.socket, 'PUT', '/containers/deaf', { action: 'start' });
  assert.equal(early.status, 400);
  await act(tree, 'neighbour', 'restart');
  let answers = 0;
  await untilRow(tree, 'neighbour', (row) => {
    answers += 1;
    return row.status === 'STARTED' && row.pid !== pid;
  });
  const stopped = await untilStatus(tree, 'deaf', 'STOPPED');
  const took = secondsSince(began);
  assert.deepEqual(stopped.exit?.status, { kind: 'signal', signal: 9 });
  await eventually('its statuses', PATIENCE_MS, () => feed.seen.includes('deaf STOPPED'));
  feed.close();
  // That it is to be started again is enough: on a slow machine that takes longer than deaf is given.
  const order = ['deaf STOPPING', 'neighbour STOPPING', 'neighbour INSTALLED', 'deaf STOPPED'];
  assert.deepEqual(
    feed.seen.filter((each) => order.includes(each)),
    order,
  );
  await isGone(tree, 'deaf');
  return `killed after ${took}; ${answers} lists and a restart of the neighbour were answered meanwhile`;
}

export async function cleanExit(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await says(tree, 'one-shot', /the work is done/);
  const done = await untilStatus(tree, 'one-shot', 'STOPPED');
  assert.deepEqual([done.exit?.status, done.user_stopped], [{ kind: 'code', code: 0 }, 'false']);
  assert.deepEqual([done.auto_recovery?.current_retries, done.restarts], [0, 0]);
  const again = await untilRow(tree, 'always-on', ({ restarts, status }) => restarts > 0 && status === 'STARTED');
  assert.equal((await rowOf(tree, 'one-shot')).status, 'STOPPED');
  const { body } = await ask(tree.socket, 'GET', '/health');
  assert.ok(!body.includes('"subject":"one-shot"'), body);
  await act(tree, 'one-shot', 'start');
  await untilStatus(tree, 'one-shot', 'STARTED');
  return `one-shot stays STOPPED with 0 retries, always-on was started again (${again.auto_recovery?.current_retries} retries)`;
}

export async function crashBackoff(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await logged(tree, LOG, /container crashing: \w+ -> RECOVERING/);
  for (const delayMs of [200, 400, 800]) {
    await logged(tree, LOG, new RegExp(`crashing: its init exited with code 3, starting it again in ${delayMs} ms`));
  }
  const given = await untilStatus(tree, 'crashing', 'STOPPED');
  assert.deepEqual([given.auto_recovery?.current_retries, given.restarts], [3, 3]);
  assert.deepEqual([given.exit?.status, given.pid], [{ kind: 'code', code: 3 }, null]);
  await unhealthy(tree, 'RECOVERY_EXHAUSTED', /its init exited with code 3/);
  await says(tree, 'crashing', /(here I go again[\s\S]*){4}/);
  assert.equal(tree.readLog('crashing/lxc/console.log').match(/here I go again/g)?.length, 4);
  await act(tree, 'crashing', 'start');
  const fresh = await untilStatus(tree, 'crashing', 'STARTED');
  assert.equal(fresh.auto_recovery?.current_retries, 0);
  return 'started again after 0.2, 0.4 and 0.8 s, then STOPPED with a reason; a start begins with 0 retries';
}

export async function stabilise(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await untilRow(tree, 'settling', ({ auto_recovery }) => auto_recovery?.is_stable === 'false');
  await untilRow(tree, 'settling', ({ auto_recovery }) => auto_recovery?.current_retries === 3);
  const stable = await untilRow(tree, 'settling', ({ auto_recovery }) => auto_recovery?.is_stable === 'true');
  assert.deepEqual([stable.status, stable.restarts], ['STARTED', 3]);
  await untilRow(tree, 'settling', ({ auto_recovery }) => auto_recovery?.current_retries === 0);
  await says(tree, 'settling', /start 4/);
  return '3 failures, 3 retries, then stable; after reset_window the counter is 0';
}
