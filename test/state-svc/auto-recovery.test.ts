// Auto-recovery of state-svc whole, by a clock that the test holds.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import type { Device } from './device.ts';
import { APP, FAILED, health, POOLED, RETRY, useDevices } from './kit.ts';

const open = useDevices();

describe('auto-recovery', () => {
  const start = async (recovery: object): Promise<Device> => {
    const it = await open({ web: { ...APP, ...POOLED, auto_recovery: recovery } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    return it;
  };

  it('shows RECOVERING, waits longer each time, and stays STOPPED with a reason when retries are used up', async () => {
    const it = await start({ ...RETRY, max_retries: 2, backoff_factor: 3, backoff_policy: 'reboot' });
    for (const delayMs of [5000, 15_000]) {
      it.world.exit('web', FAILED);
      const row = await it.untilStatus('web', 'RECOVERING');
      assert.deepEqual(row.exit?.status, FAILED);
      assert.equal(row.pid, null);
      it.clock.advance(delayMs - 1);
      assert.equal((await it.rows()).web?.status, 'RECOVERING');
      it.clock.advance(1);
      await it.untilStatus('web', 'STARTED');
    }
    it.world.exit('web', FAILED);
    const row = await it.untilStatus('web', 'STOPPED');
    assert.deepEqual([row.auto_recovery?.current_retries, row.restarts], [2, 2]);
    const [reason] = await health(it);
    assert.equal(reason?.code, 'RECOVERY_EXHAUSTED');
    assert.deepEqual(it.reboots, ['RECOVERY_EXHAUSTED']);
    assert.ok(!it.world.calls.includes('lxc.unmount web'));
  });

  it('leaves a clean exit STOPPED with on-failure, and says nothing of it in health', async () => {
    const it = await start(RETRY);
    it.world.exit('web', { kind: 'code', code: 0 });
    const row = await it.untilStatus('web', 'STOPPED');
    assert.deepEqual([row.auto_recovery?.current_retries, row.user_stopped], [0, 'false']);
    assert.deepEqual(await health(it), []);
  });

  it('says in health that ends come in a row, until it is stable', async () => {
    const it = await start({ ...RETRY, max_retries: 3, stable_timeout: 30 });
    const codes = async () => (await health(it)).map(({ code, message }) => `${code}: ${message}`);
    const crash = async (): Promise<void> => {
      it.world.exit('web', FAILED);
      await it.untilStatus('web', 'RECOVERING');
    };
    await crash();
    assert.deepEqual(await codes(), [], 'once');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    await crash();
    const told = ['CONTAINER_RECOVERING: its init exited with code 1, retry 2 of 3'];
    assert.deepEqual(await codes(), told);
    it.clock.advance(10_000);
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(await codes(), told, 'it has started before');
    it.clock.advance(30_000);
    assert.deepEqual(await codes(), []);
  });

  for (const tree of [false, true]) {
    const what = tree ? 'the tree' : 'state-svc';
    it(`goes on to say so over a restart of ${what}, and no more of what became stable before`, async () => {
      const it = await start({ ...RETRY, max_retries: 3, stable_timeout: 30 });
      const told = async (): Promise<readonly string[]> => {
        await (await it.boot({ tree })).settled;
        return (await health(it)).map(({ code, message }) => `${code}: ${message}`);
      };
      const crash = async (): Promise<void> => {
        it.world.exit('web', FAILED);
        await it.untilStatus('web', 'RECOVERING');
      };
      await crash();
      assert.deepEqual(await told(), [], 'once');
      it.clock.advance(5000);
      await it.untilStatus('web', 'STARTED');
      assert.deepEqual(await told(), [], 'once, and it runs again');
      await crash();
      assert.deepEqual(await told(), ['CONTAINER_RECOVERING: its init exited with code 1, retry 2 of 3']);
      it.clock.advance(5000);
      await it.untilStatus('web', 'STARTED');
      assert.deepEqual(await told(), ['CONTAINER_RECOVERING: its init has failed again and again, retry 2 of 3']);
      it.clock.advance(30_000);
      assert.deepEqual(await health(it), []);
      assert.deepEqual(await told(), []);
    });
  }

  it('says nothing of ends over a restart that may have been meant so', async () => {
    const it = await start({ ...RETRY, policy: 'always' });
    const told = async () => {
      await (await it.boot()).settled;
      return health(it);
    };
    for (let ends = 0; ends < 2; ends += 1) {
      it.world.exit('web', { kind: 'code', code: 0 });
      await it.untilStatus('web', 'RECOVERING');
      assert.deepEqual(await told(), []);
      it.clock.advance(5000);
      await it.untilStatus('web', 'STARTED');
      assert.deepEqual(await told(), []);
    }
  });

  it('says over a restart that starts fail', async () => {
    const it = await start({ ...RETRY, max_retries: 3 });
    it.world.troubles.set('lxc.start web', 'refuse');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.until(async () => (await it.rows()).web?.auto_recovery?.current_retries === 2);
    await (await it.boot()).settled;
    assert.equal((await health(it))[0]?.message, 'its last start failed, retry 2 of 3');
  });

  it('says over a restart that it pauses, and has on disk since when until it runs again', async () => {
    const sinceMs = (): unknown =>
      JSON.parse(textIfThere(join(it.storage, 'cache/containers-ends.json')) || '{}').web?.exhaustedMs;
    const it = await start({ ...RETRY, max_retries: 1, backoff_policy: '10min' });
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    const before = await health(it);
    assert.equal(before[0]?.message, 'its init exited with code 1 after 1 retries');
    await eventually('it is on disk', PATIENCE_MS, () => sinceMs() === it.clock.elapsedMs());
    await (await it.boot()).settled;
    assert.deepEqual(await health(it), before);
    it.clock.advance(600_000);
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(await health(it), []);
    await eventually('it is forgotten', PATIENCE_MS, () => sinceMs() === undefined);
  });

  for (const [what, endsIt] of [
    ['it ends well', (it: Device) => it.world.exit('web', { kind: 'code', code: 0 })],
    ['the user stops it', (it: Device) => it.state.controlContainer({ container: 'web', action: 'stop' })],
  ] as const) {
    it(`says no more in health of ends in a row when ${what}`, async () => {
      const it = await start({ ...RETRY, policy: 'on-failure', max_retries: 3, stable_timeout: 30 });
      for (const delayMs of [5000, 10_000]) {
        it.world.exit('web', FAILED);
        await it.untilStatus('web', 'RECOVERING');
        it.clock.advance(delayMs);
        await it.untilStatus('web', 'STARTED');
      }
      assert.equal((await health(it))[0]?.code, 'CONTAINER_RECOVERING');
      await endsIt(it);
      await it.untilStatus('web', 'STOPPED');
      assert.deepEqual(await health(it), []);
    });
  }

  it('waits its pause and starts the counter over', async () => {
    const it = await start({ ...RETRY, max_retries: 1, backoff_policy: '10min' });
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(599_999);
    assert.equal((await it.rows()).web?.status, 'RECOVERING');
    it.clock.advance(1);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.current_retries, 0);
  });

  it('resets the counter after reset_window of uptime, and calls stable what lived stable_timeout past its goal', async () => {
    const it = await start({ ...RETRY, reset_window: 60, stable_timeout: 30 });
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.is_stable, 'false');
    it.clock.advance(30_000);
    const stable = await it.untilStatus('web', 'STARTED');
    assert.deepEqual([stable.auto_recovery?.is_stable, stable.auto_recovery?.current_retries], ['true', 1]);
    it.clock.advance(30_000);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.current_retries, 0);
  });

  it('counts on whatever the uptime with a reset_window of 0', async () => {
    const it = await start({ ...RETRY, max_retries: 1, reset_window: 0 });
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    it.clock.advance(1_000_000);
    assert.equal((await it.rows()).web?.auto_recovery?.current_retries, 1);
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'STOPPED');
    assert.equal((await health(it))[0]?.code, 'RECOVERY_EXHAUSTED');
  });

  it('calls a container stable that is only to be mounted, stable_timeout after it was', async () => {
    const it = await open({ files: { ...APP, status_goal: 'MOUNTED', auto_recovery: RETRY } });
    await it.boot();
    assert.equal((await it.untilStatus('files', 'MOUNTED')).auto_recovery?.is_stable, 'false');
    it.clock.advance(30_000);
    assert.equal((await it.rows()).files?.auto_recovery?.is_stable, 'true');
  });

  it('is called off by a stop, and a start clears the counter', async () => {
    const it = await start(RETRY);
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    it.clock.advance(1_000_000);
    assert.equal((await it.rows()).web?.status, 'STOPPED');
    await it.state.controlContainer({ container: 'web', action: 'start' });
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.current_retries, 0);
  });

  it('takes a start that failed for one more failure', async () => {
    const it = await start({ ...RETRY, max_retries: 2 });
    it.world.troubles.set('net.attach web', 'refuse');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.until(async () => (await it.rows()).web?.auto_recovery?.current_retries === 2);
    it.world.troubles.clear();
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    assert.ok(!it.history.get('web')?.includes('STOPPED'), 'nobody is told that it is over');
  });

  it('asks for no reboot when it, or the user, starts what can have no address', async () => {
    const it = await start({ ...RETRY, max_retries: 1 });
    it.world.troubles.set('ipam.allocate web', 'refuse');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STOPPED');
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'start' })).ok);
    await it.until(async () => (await health(it))[0]?.code === 'CONTAINER_FAILED');
    assert.deepEqual(it.reboots, []);
  });

  it('judges no start that failed once the user has asked for another', async () => {
    const it = await start({ ...RETRY, max_retries: 1, backoff_policy: 'reboot' });
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.world.troubles.set('net.attach web', 'refuse');
    const release = it.world.hold('net.attach');
    const before = it.world.calls.length;
    it.clock.advance(5000);
    await it.until(() => it.world.calls.indexOf('net.attach web', before) > 0);
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'restart' })).ok);
    release();
    await it.until(() => it.world.calls.indexOf('lxc.unmount web', before) > 0);
    it.world.troubles.clear();
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(it.reboots, []);
    assert.equal((await it.rows()).web?.auto_recovery?.current_retries, 0);
  });

  it('says what its last start failed of when retries are used up', async () => {
    const it = await start({ ...RETRY, max_retries: 1 });
    it.world.troubles.set('net.attach web', 'refuse');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STOPPED');
    const [reason] = await health(it);
    assert.equal(reason?.code, 'RECOVERY_EXHAUSTED');
    assert.match(reason.message, /^could not be started: net\.attach: .* after 1 retries/);
  });

  it('is not misled by an exit that is told twice', async () => {
    const it = await start(RETRY);
    const { pid } = await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    it.world.tellExit('web', pid ?? 0, FAILED);
    // Events and answers of one service arrive in order: after this restart's the exit has been heard.
    await it.state.controlContainer({ container: 'web', action: 'restart' });
    await it.until(async () => (await it.rows()).web?.restarts === 2);
    assert.equal((await it.rows()).web?.auto_recovery?.current_retries, 0);
    assert.deepEqual(it.history.get('web')?.filter((status) => status === 'RECOVERING').length, 1);
  });

  it('counts the uptime of what it adopts', async () => {
    const it = await start({ ...RETRY, stable_timeout: 30 });
    it.clock.advance(20_000);
    await (await it.boot()).settled;
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.is_stable, 'false');
    it.clock.advance(10_000);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.is_stable, 'true');
  });

  it('counts the uptime of what it adopts by no clock that is set meanwhile', async () => {
    for (const years of [56, -56]) {
      const it = await start({ ...RETRY, reset_window: 60, stable_timeout: 30 });
      it.world.exit('web', FAILED);
      await it.untilStatus('web', 'RECOVERING');
      it.clock.advance(5000);
      await it.untilStatus('web', 'STARTED');
      it.clock.advance(20_000);
      it.clock.jump(years * 365 * 24 * 3_600_000);
      await (await it.boot()).settled;
      it.clock.advance(9_999);
      const recovery = async () => (await it.untilStatus('web', 'STARTED')).auto_recovery;
      assert.equal((await recovery())?.is_stable, 'false');
      it.clock.advance(1);
      assert.deepEqual([(await recovery())?.is_stable, (await recovery())?.current_retries], ['true', 1]);
      it.clock.advance(30_000);
      assert.equal((await recovery())?.current_retries, 0);
    }
  });

  it('meets an end that was told before the start was answered', async () => {
    const it = await open({ web: { ...APP, auto_recovery: RETRY } });
    it.world.diesAtOnce.add('web');
    await it.boot();
    const row = await it.untilStatus('web', 'RECOVERING');
    assert.deepEqual(row.exit?.status, FAILED);
  });
});
