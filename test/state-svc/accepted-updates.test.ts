// Updates that were accepted by a state-svc that ended before it began them.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, sha256 } from './device.ts';
import { APP, useDevices } from './kit.ts';
import {
  CHANGED_B,
  command,
  deviceForEach,
  holds,
  install,
  onDisk,
  pids,
  progressOf,
  reaches,
  TESTING_LIVE,
  THREE,
  UPDATED,
  updateLive,
} from './updates-kit.ts';

const open = deviceForEach();
const openDevice = useDevices();

/** As a state-svc leaves it that ends right after its answer. */
function accepted(it: Device, revision: string): void {
  const asked = { revision, once: false, commit: false };
  writeFileSync(join(it.storage, 'boot/current.json'), JSON.stringify({ ...onDisk(it), asked }));
}

/** A bug of the next start, as the revision to roll back to is read after the one that runs; an update before may still have to read it, too. */
function failOnce(it: Device): void {
  let isNext = false;
  it.onRead = (revision) => {
    isNext ||= revision !== '0';
    if (!isNext || revision !== '0') return;
    it.onRead = () => undefined;
    throw new Error('a bug');
  };
}

describe('an update that was accepted', () => {
  for (const [what, tree] of [
    ['of the same tree', false],
    ['of another tree that finds what ran', true],
  ] as const) {
    it(`is begun by the next state-svc ${what}`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', CHANGED_B);
      const { a } = await pids(it);
      accepted(it, 'locals/x');
      await it.boot({ tree });
      await reaches(it, 'locals/x', TESTING_LIVE);
      assert.equal((await pids(it)).a, a);
      assert.equal(onDisk(it).asked, undefined);
    });
  }

  it('is begun also where it cannot be written down that the next state-svc has come', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    accepted(it, 'locals/x');
    it.onBootWrite = () => {
      it.onBootWrite = () => undefined;
      throw new Error('the disk is full');
    };
    await it.boot({ tree: true });
    await reaches(it, 'locals/x', TESTING_LIVE);
  });

  it('is forgotten by a cut of the power also where that cannot be written down at first', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    accepted(it, 'locals/x');
    it.onBootWrite = () => {
      throw new Error('the disk is full');
    };
    await (await it.boot({ cut: true })).settled;
    assert.equal(onDisk(it).asked.revision, 'locals/x');
    it.onBootWrite = () => undefined;
    it.clock.advance(5000);
    await eventually('it is forgotten', PATIENCE_MS, () => onDisk(it).asked === undefined);
    await it.untilStatus('b', 'STARTED');
    assert.equal((await progressOf(it, 'locals/x')).status, 'NEW');
  });

  it('is told, and not run, where state-svc ends again before it is begun', async () => {
    const it = await open(THREE);
    const before = await pids(it);
    await install(it, 'locals/x', CHANGED_B);
    accepted(it, 'locals/x');
    const release = it.world.hold('hooks.system-install-update');
    await it.boot();
    await it.until(() => it.world.hooks.some(({ event }) => event === 'system-install-update'));
    await it.boot();
    await reaches(it, 'locals/x', 'Internal error');
    release();
    await eventually('it is forgotten', PATIENCE_MS, () => onDisk(it).asked === undefined);
    assert.deepEqual([await pids(it), onDisk(it).trying, it.reboots], [before, undefined, []]);
    await updateLive(it, 'locals/x');
  });

  /** What runs is refused at the next start of state-svc. */
  const refusedNext = async (): Promise<Device> => {
    const it = await open(THREE);
    writeFileSync(join(it.storage, 'objects', sha256('root of a')), 'rotten');
    return it;
  };

  it('is begun where what runs is refused, and no reboot has it forgotten', async () => {
    const it = await refusedNext();
    await install(it, 'locals/x', { b: APP, c: APP, d: APP });
    accepted(it, 'locals/x');
    await it.boot();
    await reaches(it, 'locals/x', TESTING_LIVE);
    assert.deepEqual(it.reboots, []);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('is told where it is refused as what runs is, whose reboot comes then', async () => {
    const it = await refusedNext();
    await install(it, 'locals/x', { d: APP });
    writeFileSync(join(it.storage, 'objects', sha256('root of d')), 'rotten');
    accepted(it, 'locals/x');
    await it.boot();
    await it.until(() => it.reboots.length > 0);
    assert.deepEqual(it.reboots, ['REVISION_REFUSED']);
    assert.equal((await progressOf(it, 'locals/x'))['status-msg'], 'Object validation went wrong');
    assert.equal(onDisk(it).asked, undefined);
  });

  it('is begun where state-svc itself fails at what runs', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    await install(it, 'locals/y', { ...CHANGED_B, d: APP });
    accepted(it, 'locals/y');
    failOnce(it);
    await it.boot();
    await reaches(it, 'locals/y', TESTING_LIVE);
    assert.equal(onDisk(it).asked, undefined);
    assert.deepEqual(it.reboots, []);
  });

  it('is told where hooks of the start keep everything from starting', async () => {
    const it = await openDevice(THREE);
    await install(it, 'locals/x', CHANGED_B);
    mkdirSync(join(it.storage, 'boot'), { recursive: true });
    const asked = { revision: 'locals/x', once: false, commit: false };
    writeFileSync(join(it.storage, 'boot/current.json'), JSON.stringify({ revision: '0', life: 'first', asked }));
    it.world.troubles.set('hooks.system-start 0', 'refuse');
    await it.boot();
    await it.until(() => it.reboots.length > 0);
    assert.deepEqual(it.reboots, ['HOOK_FAILED']);
    const { status, logs } = await progressOf(it, 'locals/x');
    assert.equal(status, 'ERROR');
    assert.match(logs ?? '', /locals\/x was asked for .* and is not run: hook 10-check/);
    assert.equal(onDisk(it).asked, undefined);
    assert.ok(!it.world.calls.some((call) => call.startsWith('lxc.')));
  });
});

describe('a state-svc that fails at what runs', () => {
  it('asks for a reboot', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    failOnce(it);
    await it.boot();
    await it.until(() => it.reboots.length > 0);
    assert.deepEqual(it.reboots, ['REVISION_REFUSED']);
  });

  it('goes back from what is tried', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    failOnce(it);
    await it.boot();
    await it.until(() => it.reboots.length > 0);
    assert.deepEqual(it.reboots, ['UPDATE_ROLLED_BACK']);
    await reaches(it, 'locals/x', 'A container could not be started');
    assert.deepEqual([onDisk(it).revision, onDisk(it).trying], ['0', undefined]);
  });
});
