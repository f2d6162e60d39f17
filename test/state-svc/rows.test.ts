// The rows of containers and groups as the API has them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { APP, POOLED, RETRY, useDevices } from './kit.ts';

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
});
