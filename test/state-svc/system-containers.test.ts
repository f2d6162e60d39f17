// Containers with restart policy `system`: nobody may start one, so that a reboot has to where nothing else does.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import type { Device } from './device.ts';
import { FAILED, health, POOLED, RETRY, timeToAskAgain, turnsOfTheLoop, useDevices, waitsToAskAgain } from './kit.ts';

const open = useDevices();

const ROOT = { group: 'root' };
const CLEAN = { kind: 'code', code: 0 } as const;
const KILLED = { kind: 'signal', signal: 9 } as const;

const codes = async (device: Device) => (await health(device)).map(({ code, subject }) => [code, subject]);
const DOWN = [['SYSTEM_CONTAINER_DOWN', 'base']];

describe('a system container', () => {
  const started = async (recovery?: object): Promise<Device> => {
    const it = await open({ base: { ...ROOT, ...(recovery === undefined ? {} : { auto_recovery: recovery }) } });
    await it.boot();
    await it.untilStatus('base', 'STARTED');
    return it;
  };

  for (const [recovery, what] of [
    [undefined, 'without auto-recovery'],
    [{ policy: 'no' }, 'with recovery policy no'],
  ] as const) {
    for (const exit of [FAILED, CLEAN, KILLED]) {
      it(`${what} asks for a reboot when its init ended with ${JSON.stringify(exit)}`, async () => {
        const it = await started(recovery);
        it.world.exit('base', exit);
        assert.deepEqual((await it.untilStatus('base', 'STOPPED')).exit?.status, exit);
        await it.until(() => it.reboots.length > 0);
        assert.deepEqual(it.reboots, ['SYSTEM_CONTAINER_DOWN']);
        assert.deepEqual(await codes(it), DOWN);
      });
    }
  }

  it('may end where its recovery lets it', async () => {
    const it = await started(RETRY);
    it.world.exit('base', CLEAN);
    await it.untilStatus('base', 'STOPPED');
    assert.deepEqual([it.reboots, await health(it)], [[], []]);
  });

  it('asks no more where the reboot does not come', async () => {
    const it = await started();
    it.onReboot = () => false;
    it.world.exit('base', FAILED);
    await it.until(() => it.lines.some((line) => line.includes('no more reboots for SYSTEM_CONTAINER_DOWN')));
    it.clock.advance(3_600_000);
    assert.deepEqual(it.reboots, ['SYSTEM_CONTAINER_DOWN']);
    assert.equal((await it.rows()).base?.status, 'STOPPED');
  });

  it('has its reboot asked for again while it cannot be counted, also by the next state-svc, until it was', async () => {
    const it = await started();
    it.onReboot = () => 'uncounted';
    it.world.exit('base', FAILED);
    await it.until(() => it.reboots.length === 1);
    for (const asked of [2, 3]) {
      await timeToAskAgain(it);
      await it.until(() => it.reboots.length === asked);
    }
    assert.equal(it.lines.filter((line) => line.includes('cannot be counted')).length, 1);
    await waitsToAskAgain(it);
    // The one before is told apart from the next one by what is left to it.
    it.clock.advance(1);
    await (await it.boot()).settled;
    await it.until(() => it.reboots.length === 4);
    it.onReboot = () => true;
    await timeToAskAgain(it);
    await it.until(() => it.reboots.length === 5);
    it.clock.advance(3_600_000);
    await turnsOfTheLoop();
    assert.deepEqual(new Set(it.reboots), new Set(['SYSTEM_CONTAINER_DOWN']));
    await (await it.boot()).settled;
    await turnsOfTheLoop();
    assert.equal(it.reboots.length, 5);
  });

  it('has it asked for again when it did not start at a boot, and could not be counted', async () => {
    const it = await open({ base: ROOT });
    it.onReboot = () => 'uncounted';
    it.world.troubles.set('lxc.start base', 'refuse');
    await it.boot();
    await it.until(() => it.reboots.length === 1);
    await timeToAskAgain(it);
    await it.until(() => it.reboots.length === 2);
  });

  for (const step of ['lxc.mount', 'lxc.start']) {
    for (const [recovery, what] of [
      [undefined, 'without auto-recovery'],
      [RETRY, 'with auto-recovery, which is for what has run'],
    ] as const) {
      it(`asks for a reboot when it does not start at a boot (${step}), ${what}`, async () => {
        const it = await open({ base: { ...ROOT, ...(recovery === undefined ? {} : { auto_recovery: recovery }) } });
        it.world.troubles.set(`${step} base`, 'refuse');
        await it.boot();
        await it.until(() => it.reboots.length > 0);
        assert.deepEqual(it.reboots, ['SYSTEM_CONTAINER_DOWN']);
        await it.untilStatus('base', 'STOPPED');
        const [reason] = await health(it);
        assert.equal(reason?.code, 'SYSTEM_CONTAINER_DOWN');
        assert.match(reason.message, /^could not be started: lxc\./);
      });
    }
  }

  it('asks for one when what is only to be mounted cannot be', async () => {
    const it = await open({ base: { group: 'data' } });
    it.world.troubles.set('lxc.mount base', 'refuse');
    await it.boot();
    await it.until(() => it.reboots.length > 0);
    assert.deepEqual([it.reboots, await codes(it)], [['SYSTEM_CONTAINER_DOWN'], DOWN]);
  });

  it('asks for one when it cannot be attached to a pool that stands, and waits for one that does not', async () => {
    const it = await open({ base: { ...ROOT, ...POOLED } });
    it.world.troubles.set('ipam.configure 1', 'refuse').set('net.attach base', 'refuse');
    await it.boot();
    await it.untilStatus('base', 'STOPPED');
    assert.deepEqual(
      (await health(it)).map(({ code }) => code),
      ['POOLS_NOT_READY', 'CONTAINER_FAILED'],
    );
    assert.deepEqual(it.reboots, []);
    it.world.troubles.delete('ipam.configure 1');
    it.clock.advance(5_000);
    await it.until(() => it.lines.some((line) => line.includes('pools of the revision stand now')));
    await it.until(async () => (await health(it))[0]?.code === 'SYSTEM_CONTAINER_DOWN');
    assert.deepEqual(it.reboots, ['SYSTEM_CONTAINER_DOWN']);
  });

  it('asks once, and for its address, when there is none for it', async () => {
    const it = await open({ base: { ...ROOT, ...POOLED } });
    it.world.troubles.set('ipam.allocate base', 'refuse');
    await it.boot();
    await it.until(() => it.reboots.length > 0);
    await it.untilStatus('base', 'STOPPED');
    assert.deepEqual(it.reboots, ['POOL_EXHAUSTED']);
  });

  it('that ended while state-svc was down has its reboot asked for, once', async () => {
    const it = await started();
    it.onReboot = () => false;
    endUnseen(it);
    for (const again of [false, true]) {
      await (await it.boot()).settled;
      await it.untilStatus('base', 'STOPPED');
      await it.until(() => it.lines.some((line) => line.includes('no more reboots for SYSTEM_CONTAINER_DOWN')));
      assert.deepEqual([it.reboots, await codes(it)], [['SYSTEM_CONTAINER_DOWN'], DOWN], String(again));
    }
  });

  it('that ended beside an earlier tree takes nobody down whom that left running', async () => {
    const it = await started();
    endUnseen(it);
    for (const tree of [true, false]) {
      await (await it.boot({ tree })).settled;
      await it.untilStatus('base', 'STOPPED');
      assert.deepEqual([it.reboots, await codes(it)], [[], DOWN]);
    }
  });

  it('has a reboot asked for after each boot anew: a run of the next one may have the same pid', async () => {
    const it = await started();
    const path = join(it.storage, 'cache/containers-down.json');
    const kept = () => (existsSync(path) ? readFileSync(path, 'utf8') : '');
    it.world.exit('base', FAILED);
    await eventually('it is written down', PATIENCE_MS, () => kept().includes('base'));
    await it.boot({ cut: true });
    await it.untilStatus('base', 'STARTED');
    await eventually('it is forgotten', PATIENCE_MS, () => !kept().includes('base'));
  });
});

/** lxc-svc knows of the end of base, and told nobody. */
function endUnseen({ world, clock }: Device): void {
  const base = world.containers.get('base');
  assert.ok(base?.running);
  base.exit = { pid: base.running.pid, status: FAILED, atMs: clock.nowMs() };
  base.running = undefined;
}

describe('a container with restart policy container', () => {
  const OWN = { group: 'app', auto_recovery: { policy: 'no' } };

  it('stays STOPPED when it ended without auto-recovery, until the user starts it', async () => {
    const it = await open({ web: OWN });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'STOPPED');
    assert.deepEqual([it.reboots, await codes(it)], [[], [['CONTAINER_FAILED', 'web']]]);
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'start' })).ok);
    await it.untilStatus('web', 'STARTED');
  });

  it('that needs a reboot has it asked for again while that cannot be counted, and no more once the user has started it', async () => {
    const gives = { ...RETRY, max_retries: 1, backoff_policy: 'reboot' };
    const it = await open({ web: { group: 'app', auto_recovery: gives } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.onReboot = () => 'uncounted';
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.until(() => it.reboots.length === 1);
    await timeToAskAgain(it);
    await it.until(() => it.reboots.length === 2);
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'start' })).ok);
    await it.untilStatus('web', 'STARTED');
    await timeToAskAgain(it);
    await turnsOfTheLoop();
    assert.deepEqual(it.reboots, ['RECOVERY_EXHAUSTED', 'RECOVERY_EXHAUSTED']);
  });

  const GIVES_UP = { ...RETRY, max_retries: 1, retry_delay: 1, backoff_policy: 'reboot' };
  const exhaust = async (it: Device): Promise<void> => {
    const asked = it.reboots.length;
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(1_000);
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.until(() => it.reboots.length > asked);
    await waitsToAskAgain(it);
  };

  it('has it asked for no more once the user has stopped it, either', async () => {
    const it = await open({ web: { group: 'app', auto_recovery: GIVES_UP } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.onReboot = () => 'uncounted';
    await exhaust(it);
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
    await timeToAskAgain(it);
    await turnsOfTheLoop();
    assert.equal(it.reboots.length, 1);
  });

  it('has it asked for by its last end alone', async () => {
    const it = await open({ web: { group: 'app', auto_recovery: GIVES_UP } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.onReboot = () => 'uncounted';
    await exhaust(it);
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'start' })).ok);
    await it.untilStatus('web', 'STARTED');
    await exhaust(it);
    it.clock.advance(4_000);
    await turnsOfTheLoop();
    assert.equal(it.reboots.length, 2);
    it.clock.advance(1_000);
    await it.until(() => it.reboots.length === 3);
  });

  it('and so when it did not start at a boot', async () => {
    const it = await open({ web: OWN });
    it.world.troubles.set('lxc.start web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.deepEqual([it.reboots, await codes(it)], [[], [['CONTAINER_FAILED', 'web']]]);
  });
});
