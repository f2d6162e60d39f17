// Between a restart of the tree and lxc-svc's word on what lives, it is not known which revision runs: nobody is told that there is none.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createDecided } from '../../services/state-svc/decided.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { eventually } from '../kit/eventually.ts';
import type { Device } from './device.ts';
import { CHANGED_B, deviceForEach, install, THREE, updateLive } from './updates-kit.ts';

const open = deviceForEach();

/** Runs what was committed without a reboot, and has just been started anew; lxc-svc does not answer before `release`. */
async function inDoubt(
  told: { readonly nothingRuns?: boolean } = {},
): Promise<{ readonly it: Device; readonly release: () => void }> {
  const it = await open(THREE);
  await install(it, 'locals/x', CHANGED_B);
  await updateLive(it, 'locals/x');
  const release = it.world.hold('lxc.listContainers');
  await it.boot({ cut: true, ...told });
  return { it, release };
}

describe('state-svc that does not know yet which revision runs', () => {
  it('lists nothing before it knows, and everything then', async () => {
    const { it, release } = await inDoubt();
    const asked = [
      it.state.listContainers({}),
      it.state.listGroups({}),
      it.state.listSteps({}),
      it.state.stepProgress({ name: 'current' }),
      it.state.controlContainer({ container: 'a', action: 'restart' }),
    ];
    it.clock.advance(4_500);
    let answers = 0;
    for (const answer of asked) void answer.then(() => (answers += 1));
    assert.ok((await it.state.stepProgress({ name: '0' })).ok, 'what does not depend on it is answered');
    assert.equal(answers, 0);
    release();
    const [containers, groups, steps, progress, control] = await Promise.all(asked);
    assert.ok(containers?.ok && groups?.ok && steps?.ok && progress?.ok, 'answers');
    assert.ok(Reflect.get(containers.value, 'containers').length === 3, 'containers are listed');
    assert.equal(Reflect.get(steps.value, 'current'), 'locals/x');
    assert.ok(control !== undefined && (control.ok || control.error.code !== 'CONTAINER_NOT_FOUND'));
  });

  it('knows at once where the supervisor says that nothing runs', async () => {
    const { it, release } = await inDoubt({ nothingRuns: true });
    const steps = await it.state.listSteps({});
    assert.ok(steps.ok && steps.value.current === 'locals/x');
    assert.equal((await it.rows()).a?.status, 'INSTALLED');
    release();
    await it.untilStatus('a', 'STARTED');
  });

  it('does nothing for who was told to come back', async () => {
    const { it, release } = await inDoubt();
    const asked = it.state.controlContainer({ container: 'a', action: 'stop' }, { deadlineMs: 50 });
    await assert.rejects(asked, (error: unknown) => error instanceof Fault && error.code === 'TIMEOUT');
    release();
    const { a } = await it.rows();
    await it.untilStatus('a', 'STARTED');
    assert.equal(a?.user_stopped ?? 'false', 'false');
  });

  it('collects no garbage of what may run', async () => {
    const { it, release } = await inDoubt();
    const collected = it.state.collectGarbage({});
    let answer: Awaited<typeof collected> | undefined;
    void collected.then((given) => {
      answer = given;
    });
    // It waits for a while, in the test's time, from when it has arrived.
    await eventually('an answer', 20_000, () => {
      it.clock.advance(4_500);
      return answer !== undefined;
    });
    assert.ok(answer?.ok);
    assert.ok(existsSync(join(it.storage, 'trails/locals/x/.pvr/json')), 'the revision that runs is there');
    release();
    await it.untilStatus('b', 'STARTED');
  });

  it('collects none at all where it cannot be read what runs', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const current = join(it.storage, 'boot/current.json');
    rmSync(current);
    mkdirSync(current);
    await it.boot({ cut: true });
    const answer = await it.state.collectGarbage({});
    assert.ok(!answer.ok && answer.error.code === 'STORE_FAILED', JSON.stringify(answer));
    assert.match(answer.error.reason, /boot\/current\.json/);
    assert.ok(existsSync(join(it.storage, 'trails/locals/x/.pvr/json')));
  });
});

describe('state.decided', () => {
  it('is waited for until it is known, and not longer than whoever asked waits', async () => {
    const decided = createDecided();
    const abort = new AbortController();
    const patient = decided.wait({ signal: new AbortController().signal });
    const impatient = decided.wait(abort);
    abort.abort();
    await assert.rejects(impatient, /not known yet/);
    await assert.rejects(decided.wait(abort), /not known yet/);
    decided.known();
    await patient;
    await decided.wait(abort);
  });
});
