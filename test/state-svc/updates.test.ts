// Updates without a reboot, whole: what changes, what stays, and the way back.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { progressAt } from '../../services/state-svc/step-progress.ts';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, LEASE_HOLD_MS, POOL } from './device.ts';
import { APP, POOLED } from './kit.ts';
import {
  CHANGED_B,
  command,
  DONE,
  deviceForEach,
  holds,
  install,
  onDisk,
  pids,
  progressOf,
  reaches,
  TESTING,
  TESTING_LIVE,
  THREE,
  UPDATED,
  updateLive,
} from './updates-kit.ts';

const open = deviceForEach();
/** Ends that were told of any revision. */
const failures = ({ lines }: Device) => lines.filter((line) => /revision \S+: (ERROR|WONTGO),/.test(line));

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

  it('goes on when state-svc dies between its word and the beginning, the way it was asked for, and no second time', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    assert.equal(await command(it, 'TRY_ONCE', 'locals/x'), 'accepted');
    await it.boot();
    await reaches(it, 'locals/x', TESTING_LIVE);
    assert.deepEqual([onDisk(it).asked, onDisk(it).trying.once], [undefined, true]);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
    // What is refused ends once, not with every start.
    await install(it, 'locals/y', { ...THREE, b: { ...APP, group: 'nobody' } });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/y'), 'accepted');
    await it.boot();
    await eventually('its end', PATIENCE_MS, async () => (await progressOf(it, 'locals/y')).status === 'WONTGO');
    // Told first.
    await eventually('it is forgotten', PATIENCE_MS, () => onDisk(it).asked === undefined);
  });

  it('is told to be refused before it is forgotten that it was asked for, so that a death in between loses no word', async () => {
    const it = await open(THREE);
    await install(it, 'locals/y', { ...THREE, b: { ...APP, group: 'nobody' } });
    const written: unknown[] = [];
    it.onBootWrite = ({ asked }) => {
      const told = readIfPresent(join(it.storage, 'trails/locals/y/.pv/progress'));
      written.push([asked?.revision, told === undefined ? undefined : JSON.parse(told).status]);
    };
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/y'), 'accepted');
    await eventually('its end', PATIENCE_MS, () => onDisk(it).asked === undefined && written.length > 1);
    assert.deepEqual(written, [
      ['locals/y', undefined],
      [undefined, 'WONTGO'],
    ]);
  });

  it('is on its way all the time when state-svc dies while it is installed', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    const release = it.world.hold('hooks.system-install-update');
    const isHeld = (times: number) =>
      it.until(() => it.world.hooks.filter(({ event }) => event === 'system-install-update').length >= times);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await isHeld(1);
    await it.boot();
    // Also while it is verified anew: whoever looks would take an ERROR for its end.
    await isHeld(2);
    release();
    await reaches(it, 'locals/x', TESTING_LIVE);
    assert.deepEqual(failures(it), []);
  });

  it('is UPDATED when state-svc dies between its commit and the word of it, and DONE after a reboot', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const progress = join(it.storage, 'trails/locals/x/.pv/progress');
    const before = readFileSync(progress);
    await it.boot();
    const testing = JSON.stringify(progressAt('awaitingStability'));
    writeFileSync(progress, testing);
    await it.boot();
    await reaches(it, 'locals/x', UPDATED);
    assert.deepEqual(readFileSync(progress), before);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await holds(it);
    await reaches(it, 'locals/x', DONE);
    writeFileSync(progress, testing);
    await it.boot();
    await reaches(it, 'locals/x', DONE);
    assert.deepEqual(failures(it), []);
  });

  it('is begun once when it is asked for while state-svc starts', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    const release = it.world.hold('lxc.listContainers');
    await it.boot();
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    release();
    await reaches(it, 'locals/x', TESTING_LIVE);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
    assert.equal(it.lines.filter((line) => line.includes('locals/x: INPROGRESS, Update installed')).length, 1);
  });

  it('keeps its turn when state-svc dies before it has begun', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await install(it, 'locals/y', { ...THREE, d: APP });
    const installs = it.world.hold('hooks.system-install-update');
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', 'Update installed');
    const lists = it.world.hold('lxc.listContainers');
    await it.boot();
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/y'), 'BUSY');
    lists();
    installs();
    await reaches(it, 'locals/x', TESTING_LIVE);
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

  it('leaves containers alone however many updates ago they were mounted', async () => {
    const it = await open(THREE);
    const { a, c } = await pids(it);
    const updates = Array.from({ length: 10 }, (_, index) => `locals/x${index}`);
    for (const [index, name] of updates.entries()) {
      await install(it, name, index % 2 === 0 ? CHANGED_B : THREE);
      await updateLive(it, name);
    }
    assert.deepEqual(onDisk(it).carried.a, ['0', updates.at(-2)]);
    // What a restart takes from where it stands is known of after that as well.
    for (const name of ['locals/y', 'locals/z']) {
      await (await it.boot()).settled;
      await install(it, name, name === 'locals/y' ? CHANGED_B : THREE);
      await updateLive(it, name);
    }
    await (await it.boot()).settled;
    const after = await pids(it);
    assert.deepEqual([after.a, after.c], [a, c]);
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

  it('with nothing to change ends as well', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', THREE);
    const before = await pids(it);
    await updateLive(it, 'locals/x');
    assert.deepEqual(await pids(it), before);
  });
});

describe('what is written down of containers', () => {
  const written = ({ storage }: Device) => JSON.parse(readFileSync(join(storage, 'cache/containers.json'), 'utf8'));

  it('is forgotten with the last revision that has them and may run', async () => {
    const it = await open({ a: APP, c: APP });
    assert.ok((await it.state.controlContainer({ container: 'c', action: 'stop' })).ok);
    await it.untilStatus('c', 'STOPPED');
    await install(it, 'locals/x', { a: APP, b: APP });
    await updateLive(it, 'locals/x');
    await install(it, 'locals/y', { a: APP });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/y'), 'accepted');
    await reaches(it, 'locals/y', TESTING_LIVE);
    assert.ok('b' in written(it), 'what may be gone back to has it');
    await holds(it);
    await reaches(it, 'locals/y', UPDATED);
    await eventually('b is forgotten', PATIENCE_MS, () => !('b' in written(it)));
    assert.equal(written(it).c.userStopped, true, 'what the revision to go back to has stays as the user left it');
  });

  it('is not forgotten where the revision to go back to cannot be read', async () => {
    const it = await open({ a: APP, c: APP });
    assert.ok((await it.state.controlContainer({ container: 'c', action: 'stop' })).ok);
    await it.untilStatus('c', 'STOPPED');
    await install(it, 'locals/x', { a: APP });
    writeFileSync(join(it.storage, 'trails/0/.pvr/json'), 'damaged');
    await updateLive(it, 'locals/x');
    assert.ok((await it.state.controlContainer({ container: 'a', action: 'stop' })).ok);
    assert.deepEqual([written(it).a.userStopped, written(it).c.userStopped], [true, true]);
  });
});

describe('addresses', () => {
  const INTERNAL = { ...APP, ...POOLED };
  const pools = { network: { pools: { internal: POOL } } };

  it('of a container that only the revision to go back to has are kept, and given back when there is none', async () => {
    const it = await open({ a: INTERNAL, c: INTERNAL }, pools);
    await install(it, 'locals/x', { a: INTERNAL }, pools);
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
    await eventually('it is given back', PATIENCE_MS, () => {
      it.clock.advance(60_000);
      return !it.world.leases.has('c');
    });
    assert.ok(it.world.leases.has('a'));
  });

  it('that the revision to go back to reserves are given to nobody else while another runs', async () => {
    const it = await open({ a: INTERNAL, c: { ...APP, network: { pool: 'internal', ip: '10.0.5.50' } } }, pools);
    await install(it, 'locals/x', { a: INTERNAL }, pools);
    await updateLive(it, 'locals/x');
    assert.deepEqual(
      it.world.reservations.map(({ container, address }) => [container, address]),
      [['c', '10.0.5.50']],
    );
    assert.deepEqual(it.world.interfaces, { internal: { 'a/eth0': null } }, 'c is none of the revision’s');
  });
});
