// The rows of containers and groups as the API has them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allPages } from '../../shared/ipc/page.ts';
import { APP, POOLED, RETRY, useDevices } from './kit.ts';

/** Far more rows than fit into one message of 64 KiB, state-svc's and lxc-svc's. */
const MANY = 300;

const open = useDevices();

describe('rows', () => {
  it('have the keys that the API names, in its order, and only where it names them', async () => {
    const it = await open({ web: { ...APP, ...POOLED, auto_recovery: RETRY }, base: { group: 'root' } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const { web, base } = await it.rows();
    const own = ['pid', 'exit', 'restarts', 'since'];
    const common = ['name', 'group', 'status', 'status_goal', 'restart_policy', 'roles'];
    assert.deepEqual(Object.keys(web ?? {}), [...common, 'auto_recovery', 'user_stopped', 'network', ...own]);
    assert.deepEqual(Object.keys(base ?? {}), [...common, ...own]);
    assert.deepEqual(web?.auto_recovery, {
      policy: 'on-failure',
      max_retries: 5,
      current_retries: 0,
      stable_timeout: 30,
      is_stable: 'false',
      backoff_policy: 'never',
    });
    const groups = await it.state.listGroups({});
    assert.deepEqual(groups.ok && groups.value.groups.map(({ auto_recovery }) => auto_recovery), [
      undefined,
      undefined,
      undefined,
      { max_retries: 5, stable_timeout: 30, backoff_policy: 'reboot' },
    ]);
  });

  it('name the mounts that were busy at the last stop, until the next start', async () => {
    const it = await open({ web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.busyMounts.set('web', ['/run/web/rootfs']);
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    assert.deepEqual((await it.untilStatus('web', 'STOPPED')).detached_mounts, ['/run/web/rootfs']);
    it.world.busyMounts.clear();
    await it.state.controlContainer({ container: 'web', action: 'start' });
    assert.equal((await it.untilStatus('web', 'STARTED')).detached_mounts, undefined);
  });

  it('come in pages when there are more than one message takes, and all of them are adopted after a restart', async () => {
    const names = Array.from({ length: MANY }, (_, index) => `with-a-long-name-${index}`).sort();
    const groups = names.map((name) => ({ name: `group-${'x'.repeat(25)}-of-${name}`, timeout: 1 }));
    const specs = names.map((name) => [name, { group: groups[0]?.name, auto_recovery: RETRY }] as const);
    const it = await open(Object.fromEntries(specs), { groups });
    await it.boot();
    await it.untilStatus(names.at(-1) ?? '', 'STARTED');
    assert.deepEqual(Object.keys(await it.rows()), names);
    const all = await allPages(async (after) => {
      const page = await it.state.listGroups({ after });
      return page.ok ? { rows: page.value.groups, next: page.value.next } : { rows: [], next: undefined };
    });
    assert.deepEqual(
      all.map(({ name }) => name),
      groups.map(({ name }) => name),
    );
    const pids = Object.values(await it.rows()).map(({ pid }) => pid);
    await (await it.boot()).settled;
    assert.deepEqual(
      Object.values(await it.rows()).map(({ pid }) => pid),
      pids,
    );
  });

  it('of groups come from the beginning when the group to go on after is not there any more', async () => {
    const it = await open({ web: APP });
    await (await it.boot()).settled;
    const page = await it.state.listGroups({ after: 'gone' });
    assert.deepEqual(page.ok && page.value.groups.map(({ name }) => name), ['data', 'root', 'platform', 'app']);
  });
});
