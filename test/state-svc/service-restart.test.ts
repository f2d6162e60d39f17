// state-svc whole, started again beside what runs already.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import type { Device } from './device.ts';
import { APP, callsOf, FAILED, health, POOLED, RETRY, turnsOfTheLoop, useDevices } from './kit.ts';

const open = useDevices();

describe('a restart of state-svc', () => {
  it('adopts what runs: same pid, READY included, nothing mounted or started again', async () => {
    const it = await open({ app: { ...APP, ...POOLED, status_goal: 'READY' }, web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('app', 'STARTED');
    assert.ok((await it.state.signalReady({ container: 'app' })).ok);
    const before = await it.untilStatus('app', 'READY');
    await it.untilStatus('web', 'STARTED');
    it.world.calls.length = 0;
    await (await it.boot()).settled;
    const after = await it.untilStatus('app', 'READY');
    assert.equal(after.pid, before.pid);
    assert.deepEqual(after.network, before.network);
    assert.equal((await it.rows()).web?.status, 'STARTED');
    assert.ok(!it.world.calls.some((call) => /lxc\.(mount|start|stop|unmount)/.test(call)), it.world.calls.join());
  });

  it('tells how the run before ended of what it adopts, until the device boots', async () => {
    const it = await open({ web: { ...APP, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5_000);
    const { exit } = await it.untilStatus('web', 'STARTED');
    assert.deepEqual(exit?.status, FAILED);
    await eventually('it is written down', PATIENCE_MS, async () => {
      await (await it.boot()).settled;
      return JSON.stringify((await it.rows()).web?.exit) === JSON.stringify(exit);
    });
    await (await it.boot({ tree: true })).settled;
    assert.deepEqual((await it.rows()).web?.exit, exit);
    await it.boot({ cut: true });
    assert.equal((await it.untilStatus('web', 'STARTED')).exit, null);
    await (await it.boot()).settled;
    assert.equal((await it.rows()).web?.exit, null);
  });

  it('tells since when what it adopts runs, and nothing that is still to come where the clock was set back', async () => {
    const it = await open({ app: { ...APP, status_goal: 'READY' }, web: APP });
    await it.boot();
    await it.untilStatus('app', 'STARTED');
    assert.ok((await it.state.signalReady({ container: 'app' })).ok);
    const { since } = await it.untilStatus('web', 'STARTED');
    for (const how of [{}, { tree: true }]) {
      it.clock.advance(3_600_000);
      await (await it.boot(how)).settled;
      assert.equal((await it.untilStatus('app', 'READY')).since, since);
      assert.equal((await it.untilStatus('web', 'STARTED')).since, since);
    }
    const running = it.world.containers.get('web')?.running;
    assert.ok(running);
    running.startedMs = it.clock.nowMs() + 3_600_000;
    await (await it.boot()).settled;
    assert.equal(Date.parse((await it.untilStatus('web', 'STARTED')).since), it.clock.nowMs());
  });

  for (const tree of [false, true]) {
    it(`tells of nothing that runs that it does not, however long lxc-svc is away${tree ? ', nor of the whole tree' : ''}`, async () => {
      const it = await open({ web: { ...APP, status_goal: 'READY' } });
      await it.boot();
      const { pid } = await it.untilStatus('web', 'STARTED');
      const release = it.world.hold('lxc.listContainers');
      await it.boot({ tree });
      const [rows, groups] = [it.rows(), it.state.listGroups({})];
      const signal = it.state.signalReady({ container: 'web' });
      await turnsOfTheLoop();
      it.clock.advance(30_000);
      await turnsOfTheLoop();
      release();
      const { web } = await rows;
      assert.deepEqual([web?.status, web?.pid], ['STARTED', pid]);
      const listed = await groups;
      assert.equal(listed.ok && listed.value.groups.find(({ name }) => name === 'app')?.status, 'STARTED');
      assert.ok((await signal).ok, 'a signal is not lost');
    });
  }

  it('of the whole tree shows what it has, when nothing runs, while its objects are hashed', async () => {
    const it = await open({ web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('net.configure');
    await it.boot({ cut: true });
    const rows = it.rows();
    await turnsOfTheLoop();
    it.clock.advance(2_000);
    assert.equal((await rows).web?.status, 'INSTALLED');
    release();
    await it.untilStatus('web', 'STARTED');
  });

  it('leaves stopped what the user stopped', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    await (await it.boot()).settled;
    const row = await it.untilStatus('web', 'STOPPED');
    assert.equal(row.user_stopped, 'true');
    assert.deepEqual([...it.world.containers.keys()], []);
  });

  for (const [what, tree] of [
    ['', false],
    [', nor of the whole tree', true],
  ] as const) {
    it(`asks for no reboot for whoever had no address at the boot${what}`, async () => {
      const it = await open({ app: { ...APP, ...POOLED }, web: { ...APP, ...POOLED } });
      it.onReboot = () => false;
      it.world.troubles.set('ipam.allocate web', 'refuse');
      await it.boot();
      await it.until(() => it.reboots.length > 0);
      await it.untilStatus('app', 'STARTED');
      await it.boot({ tree });
      await it.until(async () => (await health(it)).some(({ code }) => code === 'CONTAINER_FAILED'));
      await turnsOfTheLoop();
      assert.equal((await it.rows()).web?.status, 'STOPPED');
      assert.deepEqual(it.reboots, ['POOL_EXHAUSTED']);
    });
  }

  const runs = ({ world }: Device, name: string, pid: number) =>
    world.containers.set(name, {
      revision: '0',
      mounted: true,
      running: { pid, startedMs: 1, sinceMs: 0 },
      exit: undefined,
    });

  it('waits for the ends of all that the revision does not know at once', async () => {
    const it = await open({ web: APP });
    const strangers = ['deaf', 'other', 'third'];
    for (const [index, name] of strangers.entries()) runs(it, name, 50 + index);
    const release = it.world.hold('lxc.stop');
    await it.boot();
    await eventually('all are told to stop', PATIENCE_MS, () =>
      strangers.every((name) => it.world.calls.includes(`lxc.stop ${name}`)),
    ).finally(release);
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual([...it.world.containers.keys()], ['web']);
  });

  it('removes what the revision does not know, and its namespace', async () => {
    const it = await open({ web: APP });
    runs(it, 'stranger', 50);
    it.world.attachments.add('stranger').add('ghost');
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(callsOf(it, 'stranger'), ['lxc.stop', 'lxc.unmount', 'net.detach']);
    assert.deepEqual([...it.world.attachments], []);
    assert.deepEqual([...it.world.containers.keys()], ['web']);
  });

  it('at any call of a start ends with the container running once', async () => {
    for (const step of ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.start']) {
      const it = await open({ web: { ...APP, ...POOLED } });
      const release = it.world.hold(step);
      const first = await it.boot();
      await it.until(() => it.world.calls.includes(`${step} web`));
      await first.close();
      const second = it.boot();
      release();
      await (await second).settled;
      await it.untilStatus('web', 'STARTED');
      assert.equal(it.world.containers.get('web')?.mounted, true, step);
      assert.ok(it.world.containers.get('web')?.running !== undefined);
      assert.ok(!it.world.calls.includes('lxc.unmount web'), step);
    }
  });

  it('keeps down what is stopped in the middle of a restart that it finishes', async () => {
    const it = await open({ web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('lxc.stop');
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'restart' })).ok);
    await it.until(() => it.world.calls.includes('lxc.stop web'));
    await (await it.boot()).settled;
    await it.untilStatus('web', 'STOPPING');
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
    release();
    await it.untilStatus('web', 'STOPPED');
    await turnsOfTheLoop();
    const { web } = await it.rows();
    assert.deepEqual([web?.status, web?.user_stopped], ['STOPPED', 'true']);
  });

  it('at any call of a restart that the user asked for finishes it', async () => {
    for (const step of ['lxc.stop', 'net.detach', 'lxc.unmount', 'lxc.mount', 'lxc.start']) {
      const it = await open({ web: { ...APP, ...POOLED } });
      const first = await it.boot();
      const { pid } = await it.untilStatus('web', 'STARTED');
      it.world.calls.length = 0;
      const release = it.world.hold(step);
      await it.state.controlContainer({ container: 'web', action: 'restart' });
      await it.until(() => it.world.calls.includes(`${step} web`));
      await first.close();
      const second = it.boot();
      await (await second).settled;
      release();
      const row = await it.untilStatus('web', 'STARTED');
      assert.notEqual(row.pid, pid, step);
      assert.equal(row.pid, it.world.containers.get('web')?.running?.pid);
    }
  });

  it('learns of an end that happened meanwhile, and recovery counts it once', async () => {
    const it = await open({ web: { ...APP, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const kept = it.world.containers.get('web');
    assert.ok(kept?.running !== undefined);
    Object.assign(kept, {
      running: undefined,
      exit: { pid: kept.running.pid, status: FAILED, atMs: it.clock.nowMs() },
    });
    for (const _ of [1, 2]) {
      await (await it.boot()).settled;
      const row = await it.untilStatus('web', 'RECOVERING');
      assert.equal(row.auto_recovery?.current_retries, 1);
    }
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
  });

  it('goes on with a recovery whose last start failed, which left nothing mounted', async () => {
    const it = await open({ web: { ...APP, ...POOLED, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.troubles.set('net.attach web', 'refuse');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.until(async () => (await it.rows()).web?.auto_recovery?.current_retries === 2);
    it.world.calls.length = 0;
    await (await it.boot()).settled;
    const row = await it.untilStatus('web', 'RECOVERING');
    assert.deepEqual([row.auto_recovery?.current_retries, callsOf(it, 'web')], [2, []]);
    it.world.troubles.clear();
    it.clock.advance(5000);
    const started = await it.untilStatus('web', 'STARTED');
    assert.deepEqual([started.auto_recovery?.current_retries, started.restarts], [2, 1]);
  });

  it('counts from the start of the tree: what recovered when the power was cut is started at once', async () => {
    const it = await open({ web: { ...APP, ...POOLED, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    await it.boot({ cut: true });
    const row = await it.untilStatus('web', 'STARTED');
    assert.deepEqual([row.auto_recovery?.current_retries, row.restarts], [0, 0]);
  });

  describe('counts on the restarts of a container of which nothing was mounted', () => {
    const restarts = async (it: Device) => (await it.untilStatus('web', 'STARTED')).restarts;
    const restart = async (it: Device) => {
      const { pid } = await it.untilStatus('web', 'STARTED');
      assert.ok((await it.state.controlContainer({ container: 'web', action: 'restart' })).ok);
      await it.until(async () => ((await it.rows()).web?.pid ?? pid) !== pid);
    };
    /** The next state-svc comes where the next mount has not begun. */
    const bootBeforeMount = async (it: Device, act: () => Promise<unknown>) => {
      const release = it.world.hold('lxc.mount');
      it.world.calls.length = 0;
      const done = act();
      await it.until(() => it.world.calls.includes('lxc.mount web'));
      await (await it.boot()).settled;
      release();
      await done;
    };

    for (const before of [0, 1]) {
      it(`in the middle of one, after ${before} others`, async () => {
        const it = await open({ web: APP });
        await it.boot();
        await it.untilStatus('web', 'STARTED');
        for (let count = 0; count < before; count += 1) await restart(it);
        await bootBeforeMount(it, () => restart(it));
        assert.equal(await restarts(it), before + 1);
      });
    }

    it('after a start that failed', async () => {
      const it = await open({ web: APP });
      await it.boot();
      await restart(it);
      await restart(it);
      it.world.troubles.set('lxc.start web', 'refuse');
      await it.state.controlContainer({ container: 'web', action: 'restart' });
      await it.untilStatus('web', 'STOPPED');
      await it.until(() => it.lines.some((line) => line.includes('could not be started: lxc.start')));
      it.world.troubles.clear();
      await it.boot();
      assert.equal(await restarts(it), 3);
    });

    it('and none where its first start was under way', async () => {
      const it = await open({ web: APP });
      await bootBeforeMount(it, () => it.boot());
      assert.equal(await restarts(it), 0);
      await it.boot({ cut: true });
      assert.equal(await restarts(it), 0);
    });
  });

  it('does not start again what had ended for good', async () => {
    const it = await open({ web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', { kind: 'code', code: 0 });
    await it.untilStatus('web', 'STOPPED');
    it.world.calls.length = 0;
    await (await it.boot()).settled;
    await it.untilStatus('web', 'STOPPED');
    assert.deepEqual(callsOf(it, 'web'), []);
  });
});
