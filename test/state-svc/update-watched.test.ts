// What an update without a reboot bears while it is watched, and what it waits for.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { progressAt } from '../../services/state-svc/step-progress.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, TRIAL } from './device.ts';
import { APP, FAILED, RETRY, turnsOfTheLoop } from './kit.ts';
import {
  CHANGED_B,
  command,
  deviceForEach,
  holds,
  install,
  onDisk,
  pids,
  reaches,
  TESTING_LIVE,
  THREE,
  UPDATED,
} from './updates-kit.ts';

const open = deviceForEach();

describe('an update that is watched', () => {
  it('holds only when a container that recovers has lived for its stable_timeout', async () => {
    const it = await open({ a: APP });
    await install(it, 'locals/x', { a: APP, b: { group: 'app', auto_recovery: RETRY } });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', progressAt('awaitingStable')['status-msg']);
    assert.equal(onDisk(it).trying.started.heldSinceMs, undefined);
    it.clock.advance(RETRY.stable_timeout * 1000);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('holds with a container that ended as its auto-recovery lets it', async () => {
    const it = await open({ a: APP });
    await install(it, 'locals/x', { a: APP, b: { group: 'app', auto_recovery: RETRY } });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', progressAt('awaitingStable')['status-msg']);
    it.world.exit('b', { kind: 'code', code: 0 });
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('goes on while auto-recovery has retries left, also when a start of its own fails', async () => {
    const it = await open({ a: APP });
    await install(it, 'locals/x', { a: APP, b: { group: 'app', auto_recovery: RETRY } });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', progressAt('awaitingStable')['status-msg']);
    it.world.exit('b', FAILED);
    await it.untilStatus('b', 'RECOVERING');
    it.world.troubles.set('lxc.start b', 'refuse');
    it.clock.advance(RETRY.retry_delay * 1000);
    await it.until(async () => (await it.rows()).b?.auto_recovery?.current_retries !== 1);
    assert.equal((await it.rows()).b?.status, 'RECOVERING');
    it.world.troubles.clear();
    it.clock.advance(RETRY.retry_delay * 1000);
    await it.untilStatus('b', 'STARTED');
    it.clock.advance(RETRY.stable_timeout * 1000);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('waits for a container that stays and whose retries were used up before', async () => {
    const tired = { group: 'app', auto_recovery: { ...RETRY, max_retries: 1, backoff_policy: '10s' } };
    const it = await open({ a: APP, b: tired });
    it.world.exit('b', FAILED);
    await it.untilStatus('b', 'RECOVERING');
    it.clock.advance(RETRY.retry_delay * 1000);
    await it.untilStatus('b', 'STARTED');
    it.world.exit('b', FAILED);
    await it.untilStatus('b', 'RECOVERING');
    await install(it, 'locals/x', { a: { ...APP, logs: [] }, b: tired });
    it.clock.advance(1);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await it.untilStatus('a', 'STARTED');
    it.clock.advance(10_000);
    await it.untilStatus('b', 'STARTED');
    it.clock.advance(RETRY.stable_timeout * 1000);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('goes on when a service comes back that was down for longer than it is waited for', async () => {
    const it = await open({ a: APP });
    await install(it, 'locals/x', { a: APP, b: APP });
    let passed = 0;
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await it.until(() => {
      if (it.history.get('b')?.at(-1) === 'RECOVERING') return true;
      it.world.troubles.set('lxc.mount b', 'die');
      const delays = it.lines.flatMap((line) => /asking again in (\d+) ms/.exec(line)?.[1] ?? []);
      for (; passed < delays.length; passed += 1) it.clock.advance(Number(delays[passed]));
      return false;
    });
    it.world.troubles.clear();
    it.clock.advance(5_000);
    await it.untilStatus('b', 'STARTED');
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  for (const dies of [false, true]) {
    it(`goes on while the user restarts a container${dies ? ', also when state-svc dies in the middle of that' : ''}`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', CHANGED_B);
      assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
      await reaches(it, 'locals/x', TESTING_LIVE);
      const before = await pids(it);
      const release = it.world.hold('lxc.stop');
      await it.state.controlContainer({ container: 'a', action: 'restart' });
      await it.until(() => it.world.calls.includes('lxc.stop a'));
      if (dies) await (await it.boot()).settled;
      release();
      await it.until(async () => ![null, before.a].includes((await pids(it)).a));
      await holds(it);
      await reaches(it, 'locals/x', UPDATED);
    });
  }

  it('goes on being tested with its remaining time when state-svc restarts', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await eventually(
      'the time is written down',
      PATIENCE_MS,
      () => onDisk(it).trying?.started?.heldSinceMs !== undefined,
    );
    const before = await pids(it);
    it.clock.advance(TRIAL.commitDelayMs - 1);
    await it.boot();
    await it.until(async () => (await pids(it)).a === before.a && (await pids(it)).b === before.b);
    await reaches(it, 'locals/x', TESTING_LIVE);
    it.clock.advance(1);
    await reaches(it, 'locals/x', UPDATED);
  });
});

describe('a pause of auto-recovery that a service before this one has begun', () => {
  const PAUSED = { ...RETRY, stable_timeout: 600, backoff_policy: '10min' };
  /** Killed right after it wrote that down. `agoMs`: how long ago. */
  const killedInPause = async (agoMs: number): Promise<Device> => {
    const web = { ...APP, auto_recovery: PAUSED };
    const it = await open({ web, b: APP });
    await install(it, 'locals/x', { web, b: { ...APP, logs: [] } });
    it.clock.advance(agoMs);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', 'Waiting for all containers to become stable');
    const kept = it.world.containers.get('web');
    assert.ok(kept?.running);
    Object.assign(kept, {
      running: undefined,
      exit: { pid: kept.running.pid, status: FAILED, atMs: it.clock.nowMs() },
    });
    const cache = join(it.storage, 'cache');
    const web0 = { userStopped: false, pendingStart: null, recoveryDelayMs: 600_000, readyPid: null, retries: 0 };
    writeFileSync(join(cache, 'containers.json'), JSON.stringify({ web: { ...web0, restarts: 5 } }));
    const exhaustedMs = it.clock.elapsedMs() - agoMs;
    writeFileSync(join(cache, 'containers-ends.json'), JSON.stringify({ web: { exhaustedMs } }));
    await it.boot();
    return it;
  };

  it('ends the trial in which it began', async () => {
    await reaches(await killedInPause(0), 'locals/x', 'A container could not be started');
  });

  it('ends none that came after it', async () => {
    const it = await killedInPause(60_000);
    await it.untilStatus('web', 'RECOVERING');
    await turnsOfTheLoop();
    assert.equal(onDisk(it).trying.revision, 'locals/x');
  });
});
