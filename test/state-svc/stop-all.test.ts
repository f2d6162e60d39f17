// Everything is stopped before a poweroff.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { APP, POOLED, RETRY, useDevices } from './kit.ts';

const open = useDevices();

describe('stopAll', () => {
  it('stops groups in reverse, clears the pools, starts nothing any more, and marks nobody as stopped by the user', async () => {
    const it = await open({ base: { group: 'root' }, web: { ...APP, ...POOLED, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.until(() => it.world.calls.includes('hooks.system-done 0'));
    it.world.calls.length = 0;
    assert.deepEqual(await it.supervisor.stopAll({}), { ok: true, value: {} });
    assert.deepEqual(it.world.calls, [
      'lxc.stop web',
      'lxc.unmount web',
      'net.detach web',
      'lxc.stop base',
      'lxc.unmount base',
      'net.configure 0',
    ]);
    assert.equal((await it.state.controlContainer({ container: 'web', action: 'start' })).ok, false);
    await (await it.boot()).settled;
    assert.equal((await it.untilStatus('web', 'STARTED')).user_stopped, 'false');
  });

  it('starts everybody again after a death in the middle of it, whatever their exits look like', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('net.detach');
    const supervisor = new AbortController();
    const stopping = it.supervisor.stopAll({}, { signal: supervisor.signal });
    await it.until(() => it.world.calls.includes('net.detach web'));
    supervisor.abort();
    await assert.rejects(stopping);
    it.world.calls.length = 0;
    await it.boot();
    release();
    await it.untilStatus('web', 'STARTED');
  });

  it('goes on when its asker has waited long enough, and answers the next one with the same end', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('lxc.stop');
    const impatient = new AbortController();
    const first = it.supervisor.stopAll({}, { signal: impatient.signal });
    await it.until(() => it.world.calls.includes('lxc.stop web'));
    impatient.abort();
    await assert.rejects(first);
    const second = it.supervisor.stopAll({});
    release();
    assert.ok((await second).ok);
    assert.equal(it.world.calls.filter((call) => call === 'lxc.stop web').length, 1);
  });

  it('reports what could not be stopped and goes on', async () => {
    const it = await open({ base: { group: 'root' }, web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.troubles.set('lxc.unmount web', 'refuse');
    const answer = await it.supervisor.stopAll({});
    assert.match(!answer.ok ? answer.error.reasons.join() : '', /^web: lxc.unmount: UNMOUNT_FAILED/);
    assert.ok(it.world.calls.includes('lxc.unmount base'));
  });
});
