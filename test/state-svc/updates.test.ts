// Updates whole, beside peers in memory and a clock that the test holds.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import type { CommandOp } from '../../shared/schema/steps.ts';
import { eventually } from '../kit/eventually.ts';
import {
  type ContainerSpec,
  createDevice,
  type Device,
  LEASE_HOLD_MS,
  POOL,
  sha256,
  stateOf,
  TRIAL,
  writeRevision,
} from './device.ts';

const APP = { group: 'app', auto_recovery: { policy: 'no' } };
const THREE = { a: APP, b: APP, c: APP };
const CHANGED_B = { ...THREE, b: { ...APP, logs: [] } };
const FAILED = { kind: 'code', code: 1 } as const;

let device: Device | undefined;
afterEach(async () => {
  await device?.close();
  device = undefined;
});

async function open(containers: Record<string, ContainerSpec>, deviceJson: object = {}): Promise<Device> {
  device = await createDevice(containers, deviceJson);
  await device.boot();
  for (const name of Object.keys(containers)) await device.untilStatus(name, 'STARTED');
  await reaches(device, '0', 'Factory revision');
  return device;
}

const install = (
  { storage }: Device,
  name: string,
  containers: Record<string, ContainerSpec>,
  deviceJson: object = {},
) => writeRevision(storage, name, stateOf(containers, deviceJson));

async function command({ state }: Device, op: CommandOp, payload = '') {
  const answer = await state.runCommand({ op, payload });
  return answer.ok ? 'accepted' : answer.error.code;
}

async function progressOf({ state }: Device, name: string) {
  const answer = await state.stepProgress({ name });
  assert.ok(answer.ok, name);
  return answer.value.progress;
}

/** What is written to a disk wakes nobody. */
async function reaches(it: Device, name: string, message: string): Promise<void> {
  let last = '';
  await eventually(`${name}: ${message}`, 20_000, async () => {
    last = (await progressOf(it, name))['status-msg'];
    return last === message;
  }).catch((error: unknown) => assert.fail(`${error}, it is at "${last}"\n${it.lines.slice(-20).join('\n')}`));
}

const DONE = 'Update finished, revision set as rollback point';
const UPDATED = 'Update finished, revision not set as rollback point';
const TESTING_LIVE = 'Awaiting to see if update is stable';
const TESTING = 'Awaiting to set rollback point if update is stable';

const pids = async (it: Device) =>
  Object.fromEntries(Object.entries(await it.rows()).map(([name, { pid }]) => [name, pid]));
const onDisk = ({ storage }: Device) => JSON.parse(readFileSync(join(storage, 'boot/current.json'), 'utf8'));

/** Everything is as it should be, and then for long enough. */
async function holds(it: Device): Promise<void> {
  await eventually('the trial holds', 20_000, () => onDisk(it).trying?.started?.heldSinceMs !== undefined);
  it.clock.advance(TRIAL.commitDelayMs);
}

/** From the command to its end without anything going wrong. */
async function updateLive(it: Device, name: string): Promise<void> {
  assert.equal(await command(it, 'LOCAL_RUN', name), 'accepted');
  await reaches(it, name, TESTING_LIVE);
  await holds(it);
  await reaches(it, name, UPDATED);
}

describe('an update without a reboot', () => {
  it('restarts the container that changed, and no other', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    const before = await pids(it);
    await updateLive(it, 'locals/x');
    const after = await pids(it);
    assert.deepEqual([after.a, after.c], [before.a, before.c]);
    assert.notEqual(after.b, before.b);
    assert.equal(it.world.containers.get('b')?.revision, 'locals/x');
    const current = await it.state.stepProgress({ name: 'current' });
    assert.equal(current.ok && current.value.revision, 'locals/x');
    assert.equal(onDisk(it).revision, '0');
    assert.deepEqual(it.reboots, []);
  });

  it('starts what was added and takes away what was removed', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', { a: APP, d: APP });
    await updateLive(it, 'locals/x');
    assert.deepEqual(Object.keys(await it.rows()), ['a', 'd']);
    assert.deepEqual([...it.world.containers.keys()].sort(), ['a', 'd']);
  });

  it('leaves containers alone that run since the revision before when state-svc restarts', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const before = await pids(it);
    await it.boot();
    await it.until(async () => (await pids(it)).a === before.a);
    assert.deepEqual(await pids(it), before);
    await it.untilStatus('c', 'STARTED');
  });

  it('moves the rollback point with the next reboot, once that has been tested too', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await holds(it);
    await reaches(it, 'locals/x', DONE);
    assert.deepEqual(onDisk(it).revision, 'locals/x');
  });

  it('goes back to the last DONE revision, also from a second one', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await install(it, 'locals/y', { ...THREE, d: APP });
    await updateLive(it, 'locals/x');
    it.world.troubles.set('lxc.start d', 'refuse');
    await command(it, 'LOCAL_RUN', 'locals/y');
    await reaches(it, 'locals/y', 'A container could not be started');
    assert.deepEqual(Object.keys(await it.rows()), ['a', 'b', 'c']);
    assert.equal(onDisk(it).revision, '0');
    await it.untilStatus('b', 'STARTED');
  });

  it('keeps stopped what the user stopped', async () => {
    const it = await open(THREE);
    await it.state.controlContainer({ container: 'b', action: 'stop' });
    await it.untilStatus('b', 'STOPPED');
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    assert.equal((await it.rows()).b?.status, 'STOPPED');
  });

  it('goes on being tested with its remaining time when state-svc restarts', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await eventually('the time is written down', 10_000, () => onDisk(it).trying?.started?.heldSinceMs !== undefined);
    const before = await pids(it);
    it.clock.advance(TRIAL.commitDelayMs - 1);
    await it.boot();
    await it.until(async () => (await pids(it)).a === before.a && (await pids(it)).b === before.b);
    await reaches(it, 'locals/x', TESTING_LIVE);
    it.clock.advance(1);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('with nothing to change ends as well', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', THREE);
    const before = await pids(it);
    await updateLive(it, 'locals/x');
    assert.deepEqual(await pids(it), before);
  });
});

describe('addresses', () => {
  const POOLED = { ...APP, network: { pool: 'internal' } };
  const pools = { network: { pools: { internal: POOL } } };

  it('of a container that only the revision to go back to has are kept, and given back when there is none', async () => {
    const it = await open({ a: POOLED, c: POOLED }, pools);
    await install(it, 'locals/x', { a: POOLED }, pools);
    await updateLive(it, 'locals/x');
    const before = it.world.leases.get('c');
    const looks = () => it.lines.filter((line) => line.includes('leases are given back')).length;
    for (let passedMs = 0; passedMs <= 2 * LEASE_HOLD_MS; passedMs += 60_000) {
      it.clock.advance(60_000);
      // Files and messages in between: turns of the loop are all that there is to wait for.
      for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(looks(), 0);
    assert.equal(it.world.leases.get('c'), before);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await holds(it);
    await reaches(it, 'locals/x', DONE);
    await eventually('it is given back', 20_000, () => {
      it.clock.advance(60_000);
      return !it.world.leases.has('c');
    });
    assert.ok(it.world.leases.has('a'));
  });

  it('that the revision to go back to reserves are given to nobody else while another runs', async () => {
    const it = await open({ a: POOLED, c: { ...APP, network: { pool: 'internal', ip: '10.0.5.50' } } }, pools);
    await install(it, 'locals/x', { a: POOLED }, pools);
    await updateLive(it, 'locals/x');
    assert.deepEqual(
      it.world.reservations.map(({ container, address }) => [container, address]),
      [['c', '10.0.5.50']],
    );
  });
});

describe('an update that does not make it', () => {
  const wrong: Readonly<
    Record<string, readonly [Record<string, ContainerSpec>, (it: Device) => void | Promise<void>, string]>
  > = {
    'a container that cannot be started': [
      { ...CHANGED_B, d: APP },
      (it) => void it.world.troubles.set('lxc.start d', 'refuse'),
      'A container could not be started',
    ],
    'a container that ends at once': [
      CHANGED_B,
      (it) => void it.world.diesAtOnce.add('b'),
      'A container could not be started',
    ],
    'a container that never says that it is ready': [
      { ...THREE, b: { ...APP, status_goal: 'READY' } },
      async (it) => {
        await it.until(async () => (await progressOf(it, 'locals/x')).status === 'TESTING');
        await it.untilStatus('b', 'STARTED');
        it.clock.advance(30_000);
      },
      'Status goal not reached',
    ],
    'a container whose recovery is exhausted': [
      {
        ...THREE,
        b: { ...APP, auto_recovery: { policy: 'always', max_retries: 1, retry_delay: 1, backoff_policy: 'reboot' } },
      },
      async (it) => {
        await it.until(async () => (await progressOf(it, 'locals/x')).status === 'TESTING');
        await it.untilStatus('b', 'STARTED');
        it.world.exit('b', FAILED);
        await it.untilStatus('b', 'RECOVERING');
        it.clock.advance(1000);
        await it.untilStatus('b', 'STARTED');
        it.world.exit('b', FAILED);
      },
      'A container could not be started',
    ],
    'a container that is not its own any more': [
      THREE,
      async (it) => {
        await reaches(it, 'locals/x', TESTING_LIVE);
        it.world.exit('c', FAILED);
      },
      'A container could not be started',
    ],
  };
  for (const [what, [containers, happens, message]] of Object.entries(wrong)) {
    it(`because of ${what} goes back, without a reboot, and says why`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', containers);
      const before = await pids(it);
      if (what.includes('cannot') || what.includes('at once')) await happens(it);
      assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
      if (!(what.includes('cannot') || what.includes('at once'))) await happens(it);
      await reaches(it, 'locals/x', message);
      it.world.troubles.clear();
      const progress = await progressOf(it, 'locals/x');
      assert.equal(progress.status, 'ERROR');
      const lines = (progress.logs ?? '').split('\n').map((line) => JSON.parse(line));
      assert.ok(
        lines.some(({ lvl, msg }) => lvl === 'ERROR' && /\b[bcd]\b/.test(msg)),
        progress.logs,
      );
      assert.equal(onDisk(it).revision, '0');
      assert.equal(onDisk(it).trying, undefined);
      assert.deepEqual(it.reboots, []);
      assert.equal((await pids(it)).a, before.a);
      const current = await it.state.stepProgress({ name: 'current' });
      assert.equal(current.ok && current.value.revision, '0');
      await it.untilStatus('b', 'STARTED');
    });
  }

  it('because its state is wrong is not installed', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', { ...THREE, b: { ...APP, network: { pool: 'does-not-exist' } } });
    const before = await pids(it);
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', 'State JSON has bad format');
    const { status, logs } = await progressOf(it, 'locals/x');
    assert.equal(status, 'WONTGO');
    assert.match(logs ?? '', /unknown pool 'does-not-exist'/);
    assert.deepEqual(await pids(it), before);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
  });

  it('because an object is damaged is not installed', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', { ...THREE, d: APP });
    writeFileSync(join(it.storage, 'objects', sha256('root of d')), 'rotten');
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', 'Object validation went wrong');
    assert.deepEqual(Object.keys(await it.rows()), ['a', 'b', 'c']);
  });
});

describe('an update with a reboot', () => {
  const SYSTEM = { s: { group: 'platform' } };
  const CHANGED = { s: { group: 'platform', logs: [] } };

  const reboot = async (it: Device): Promise<void> => {
    await command(it, 'LOCAL_RUN', 'locals/x');
    await it.until(() => it.reboots.length > 0);
    await reaches(it, 'locals/x', 'Rebooting');
    assert.equal((await it.rows()).s?.status, 'STARTED');
    await it.boot({ cut: true });
  };

  it('is tried after it, and becomes the rollback point', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    await reboot(it);
    await reaches(it, 'locals/x', TESTING);
    assert.equal(it.world.containers.get('s')?.revision, 'locals/x');
    assert.equal(onDisk(it).revision, '0');
    it.clock.advance(TRIAL.commitDelayMs);
    await reaches(it, 'locals/x', DONE);
    assert.equal(onDisk(it).revision, 'locals/x');
  });

  it('goes back by another when it is refused after it', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', { ...CHANGED, d: APP });
    await command(it, 'LOCAL_RUN', 'locals/x');
    await it.until(() => it.reboots.length > 0);
    writeFileSync(join(it.storage, 'objects', sha256('root of d')), 'rotten');
    await it.boot({ cut: true });
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    await reaches(it, 'locals/x', 'Object validation went wrong');
    await it.boot({ cut: true });
    await it.untilStatus('s', 'STARTED');
    assert.equal(it.world.containers.get('s')?.revision, '0');
    assert.deepEqual(it.reboots, ['UPDATE', 'UPDATE_ROLLED_BACK']);
  });

  it('is asked for where none is needed, when it is to be committed at once', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await command(it, 'LOCAL_RUN_COMMIT', 'locals/x');
    await it.until(() => it.reboots.includes('UPDATE'));
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await holds(it);
    await reaches(it, 'locals/x', DONE);
  });
});

describe('a power cut', () => {
  const MOMENTS = ['Transitioning to new revision without rebooting', TESTING_LIVE];
  for (const moment of MOMENTS) {
    it(`at "${moment}" goes back to what was committed, for good`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', CHANGED_B);
      const release = moment === MOMENTS[0] ? it.world.hold('lxc.stop') : () => undefined;
      await command(it, 'LOCAL_RUN', 'locals/x');
      await reaches(it, 'locals/x', moment);
      await it.boot({ cut: true });
      release();
      await reaches(it, 'locals/x', 'Unexpected rollback');
      await it.untilStatus('b', 'STARTED');
      assert.equal(it.world.containers.get('b')?.revision, '0');
      await it.boot({ cut: true });
      await it.untilStatus('b', 'STARTED');
      assert.equal(it.world.containers.get('b')?.revision, '0');
    });
  }

  it('at "Rebooting" is the reboot', async () => {
    const it = await open({ s: { group: 'platform' } });
    await install(it, 'locals/x', { s: { group: 'platform', logs: [] } });
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', 'Rebooting');
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', 'Unexpected rollback');
    await it.untilStatus('s', 'STARTED');
    assert.equal(it.world.containers.get('s')?.revision, '0');
  });
});

describe('commands', () => {
  it('come one at a time', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await command(it, 'LOCAL_RUN', 'locals/x');
    for (const op of [
      'LOCAL_RUN',
      'LOCAL_APPLY',
      'REBOOT_DEVICE',
      'POWEROFF_DEVICE',
      'MAKE_FACTORY',
      'TRY_ONCE',
    ] as const) {
      assert.equal(await command(it, op, 'locals/x'), 'BUSY', op);
    }
    await reaches(it, 'locals/x', TESTING_LIVE);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'BUSY');
    it.clock.advance(TRIAL.commitDelayMs);
    await reaches(it, 'locals/x', UPDATED);
    await it.until(async () => (await command(it, 'REBOOT_DEVICE', 'please')) === 'accepted');
    await it.until(() => it.reboots.includes('COMMAND'));
  });

  it('that make no sense are refused, and nothing is in the way of the next', async () => {
    const it = await open(THREE);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/none'), 'NO_SUCH_STEP');
    assert.equal(await command(it, 'LOCAL_RUN', '../0'), 'BAD_PAYLOAD');
    assert.equal(await command(it, 'LOCAL_RUN', ''), 'BAD_PAYLOAD');
    assert.equal(await command(it, 'TRY_ONCE', '0'), 'UNSUPPORTED');
    assert.equal(await command(it, 'ENABLE_SSH'), 'UNSUPPORTED');
    assert.equal(await command(it, 'MAKE_FACTORY', 'locals/none'), 'NO_SUCH_STEP');
    assert.equal(await command(it, 'POWEROFF_DEVICE', 'bye'), 'accepted');
    await it.until(() => it.reboots.includes('POWEROFF'));
  });

  it('apply checks a revision and runs nothing of it', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    const before = await pids(it);
    await command(it, 'LOCAL_APPLY', 'locals/x');
    await reaches(it, 'locals/x', 'Update applied');
    assert.deepEqual(await pids(it), before);
    await updateLive(it, 'locals/x');
  });

  it('try once leaves the rollback point where it is, also with a reboot', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await command(it, 'TRY_ONCE', 'locals/x');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
    await it.boot({ cut: true });
    await it.untilStatus('b', 'STARTED');
    assert.equal(it.world.containers.get('b')?.revision, '0');
  });

  it('make factory takes what was found stable, and nothing else', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    assert.equal(await command(it, 'MAKE_FACTORY', 'locals/x'), 'UNSUPPORTED');
    await updateLive(it, 'locals/x');
    const before = await pids(it);
    await it.until(async () => (await command(it, 'MAKE_FACTORY')) === 'accepted');
    await reaches(it, '0', TESTING_LIVE);
    await holds(it);
    await reaches(it, '0', 'Factory revision');
    assert.deepEqual(await pids(it), before);
    const [factory, made] = ['0', 'locals/x'].map((name) =>
      readFileSync(join(it.storage, 'trails', name, '.pvr/json'), 'utf8'),
    );
    assert.equal(factory, made);
  });
});

describe('steps that are in use', () => {
  it('cannot be put with another state', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const put = async (document: object) => {
      const began = await it.state.beginUpload({});
      assert.ok(began.ok && began.value.kind === 'upload');
      writeFileSync(began.value.path, JSON.stringify(document));
      const answer = await it.state.putStep({ name: 'locals/x', id: began.value.id });
      return answer.ok ? 'ok' : answer.error.code;
    };
    assert.equal(await put(stateOf(THREE, {}).document), 'STEP_IN_USE');
    assert.equal(await put(stateOf(CHANGED_B, {}).document), 'ok');
  });
});
