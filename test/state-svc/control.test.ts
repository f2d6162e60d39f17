// What a user and a container may ask of a container, and what comes of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { APP, callsOf, health, POOLED, useDevices } from './kit.ts';

const open = useDevices();

describe('controlContainer', () => {
  it('stops politely, then takes network and mounts away, and keeps the lease', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.calls.length = 0;
    const release = it.world.hold('lxc.stop');
    assert.deepEqual(await it.state.controlContainer({ container: 'web', action: 'stop' }), { ok: true, value: {} });
    assert.equal((await it.rows()).web?.status, 'STOPPING');
    const again = await it.state.controlContainer({ container: 'web', action: 'start' });
    assert.equal(!again.ok && again.error.code, 'NOT_ALLOWED');
    release();
    const row = await it.untilStatus('web', 'STOPPED');
    assert.deepEqual(callsOf(it, 'web'), ['lxc.stop', 'lxc.unmount', 'net.detach']);
    assert.deepEqual(it.world.graces, [5000]);
    assert.deepEqual([row.user_stopped, row.pid, row.network?.interfaces[0]?.host_interface], ['true', null, '']);
    assert.equal(row.network?.interfaces[0]?.ipv4, '10.0.5.2/24');
  });

  it('starts and restarts, with the same address, and counts', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    await it.state.controlContainer({ container: 'web', action: 'start' });
    const started = await it.untilStatus('web', 'STARTED');
    assert.deepEqual([started.user_stopped, started.restarts], ['false', 1]);
    await it.state.controlContainer({ container: 'web', action: 'restart' });
    await it.until(async () => (await it.rows()).web?.restarts === 2);
    assert.equal((await it.rows()).web?.network?.interfaces[0]?.ipv4, '10.0.5.2/24');
    assert.notEqual((await it.rows()).web?.pid, started.pid);
  });

  it('stops a start that is under way', async () => {
    for (const step of ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.start']) {
      const it = await open({ web: { ...APP, ...POOLED } });
      const release = it.world.hold(step);
      await it.boot();
      await it.until(() => it.world.calls.includes(`${step} web`));
      assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
      release();
      await it.untilStatus('web', 'STOPPED');
      assert.deepEqual([...it.world.containers.keys(), ...it.world.attachments], [], step);
    }
  });

  it('writes the order down before anybody acts on it', async () => {
    const it = await open({ web: APP });
    await it.boot();
    const { pid } = await it.untilStatus('web', 'STARTED');
    let written = '';
    const stopping = it.until(() => {
      if (!it.world.calls.includes('lxc.stop web')) return false;
      written ||= readFileSync(join(it.storage, 'cache/containers.json'), 'utf8');
      return true;
    });
    await it.state.controlContainer({ container: 'web', action: 'restart' });
    await stopping;
    assert.deepEqual(JSON.parse(written).web.pendingStart, { replacesPid: pid });
  });

  it('refuses unknown containers and restart policy system, and takes what is so already', async () => {
    const it = await open({ web: APP, base: { group: 'root' } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const code = async (container: string, action: 'start' | 'stop' | 'restart') => {
      const answer = await it.state.controlContainer({ container, action });
      return answer.ok ? 'ok' : answer.error.code;
    };
    assert.equal(await code('nobody', 'start'), 'CONTAINER_NOT_FOUND');
    assert.equal(await code('base', 'stop'), 'POLICY_SYSTEM');
    assert.equal(await code('web', 'start'), 'ok');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    assert.equal(await code('web', 'stop'), 'ok');
    assert.equal(await code('web', 'restart'), 'ok');
    await it.untilStatus('web', 'STARTED');
  });

  it('keeps down what is stopped in the middle of its restart', async () => {
    const it = await open({ web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('lxc.stop');
    await it.state.controlContainer({ container: 'web', action: 'restart' });
    await it.until(() => it.world.calls.includes('lxc.stop web'));
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
    release();
    assert.equal((await it.untilStatus('web', 'STOPPED')).user_stopped, 'true');
    await (await it.boot()).settled;
    assert.equal((await it.rows()).web?.status, 'STOPPED');
    assert.deepEqual(callsOf(it, 'web').filter((call) => call === 'lxc.start').length, 1);
  });

  it('finds nothing wrong any more with what could not be started, and is stopped then', async () => {
    const it = await open({ web: APP });
    it.world.troubles.set('lxc.start web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.equal((await health(it))[0]?.code, 'CONTAINER_FAILED');
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
    assert.deepEqual(await health(it), []);
  });

  it('keeps down, over a reboot as well, what had ended of itself and is stopped then', async () => {
    const it = await open({ web: { ...APP, auto_recovery: { policy: 'no' } } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', { kind: 'code', code: 0 });
    assert.equal((await it.untilStatus('web', 'STOPPED')).user_stopped, 'false');
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
    assert.equal((await it.rows()).web?.user_stopped, 'true');
    await (await it.boot({ cut: true })).settled;
    assert.equal((await it.rows()).web?.status, 'STOPPED');
  });

  it('does not let one container’s stop delay another request', async () => {
    const it = await open({ deaf: APP, web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.untilStatus('deaf', 'STARTED');
    const release = it.world.hold('lxc.stop');
    await it.state.controlContainer({ container: 'deaf', action: 'stop' });
    await it.until(() => it.world.calls.includes('lxc.stop deaf'));
    assert.equal((await it.rows()).web?.status, 'STARTED');
    release();
    await it.untilStatus('deaf', 'STOPPED');
  });
});

describe('signalReady', () => {
  it('is refused for containers with another goal, unknown ones and stopped ones', async () => {
    const it = await open({ web: APP, app: { ...APP, status_goal: 'READY' } });
    await it.boot();
    await it.untilStatus('app', 'STARTED');
    for (const container of ['web', 'nobody']) {
      const answer = await it.state.signalReady({ container });
      assert.equal(!answer.ok && answer.error.code, 'SIGNAL_UNEXPECTED');
    }
    await it.state.controlContainer({ container: 'app', action: 'stop' });
    await it.untilStatus('app', 'STOPPED');
    assert.equal((await it.state.signalReady({ container: 'app' })).ok, false);
  });

  it('counts also when it comes before lxc-svc has said that the start is done', async () => {
    const it = await open({ app: { ...APP, status_goal: 'READY' } });
    const release = it.world.hold('lxc.start');
    await it.boot();
    await it.until(() => it.world.calls.includes('lxc.start app'));
    assert.ok((await it.state.signalReady({ container: 'app' })).ok);
    release();
    await it.untilStatus('app', 'READY');
  });
});
