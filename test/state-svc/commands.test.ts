// Commands about revisions, and what they may not do to each other.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { checksumFile } from '../../services/state-svc/checksum-worker.ts';
import { systemClock } from '../../services/state-svc/clock.ts';
import { openDesk } from '../../services/state-svc/open-desk.ts';
import { openRevisionStore } from '../../services/state-svc/revision-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { type Device, POOL, stateOf, uploadId } from './device.ts';
import { APP, health, POOLED, useDevices } from './kit.ts';
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
  updateLive,
} from './updates-kit.ts';

const open = deviceForEach();
const openDevice = useDevices();

describe('a reboot or poweroff', () => {
  for (const [op, code] of [
    ['REBOOT_DEVICE', 'COMMAND'],
    ['POWEROFF_DEVICE', 'POWEROFF'],
  ] as const) {
    it(`comes also while a start hangs (${op}), and health says at what`, async () => {
      const it = await openDevice({ web: { ...APP, ...POOLED } });
      it.world.troubles.set('net.configure 1', 'throw');
      await it.boot();
      await it.until(async () => (await health(it)).length > 0);
      const [reason] = await health(it);
      assert.equal(reason?.code, 'START_WAITS');
      assert.match(reason.message, /net-svc/);
      assert.equal(await command(it, op), 'accepted');
      assert.deepEqual(it.reboots, []);
      it.clock.advance(4000);
      await it.until(() => it.reboots.includes(code));
    });
  }

  /** Whose start hangs, with an update that was accepted meanwhile. */
  const hanging = async (): Promise<Device> => {
    const it = await openDevice({ web: { ...APP, ...POOLED } });
    await install(it, 'locals/x', { web: { ...APP, ...POOLED, logs: [] } }, { network: { pools: { internal: POOL } } });
    it.world.troubles.set('net.configure 1', 'throw');
    await it.boot();
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    return it;
  };
  const reasonToWait = (it: Device) => it.until(async () => (await health(it)).length > 0);

  for (const [who, restarts] of [
    ['it', false],
    ['a state-svc before it', true],
  ] as const) {
    it(`comes also where an update that ${who} has accepted waits behind a start that hangs`, async () => {
      const it = await hanging();
      if (restarts) await it.boot();
      await reasonToWait(it);
      assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'BUSY');
      assert.equal(await command(it, 'REBOOT_DEVICE'), 'accepted');
      assert.equal(await command(it, 'POWEROFF_DEVICE'), 'BUSY');
      it.clock.advance(4000);
      await it.until(() => it.reboots.length > 0);
      assert.deepEqual(it.reboots, ['COMMAND']);
    });
  }

  it('that does not come leaves the update that waits its turn', async () => {
    const it = await hanging();
    await reasonToWait(it);
    it.onReboot = () => false;
    assert.equal(await command(it, 'REBOOT_DEVICE'), 'accepted');
    it.clock.advance(4000);
    await it.until(() => it.reboots.length > 0);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'BUSY');
    it.world.troubles.clear();
    it.clock.advance(5000);
    await reaches(it, 'locals/x', TESTING_LIVE);
  });

  it('is no reason in health any more once the start goes on', async () => {
    const it = await openDevice({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('net.configure 1', 'throw');
    const { settled } = await it.boot();
    await it.until(async () => (await health(it)).length > 0);
    it.world.troubles.clear();
    it.clock.advance(5000);
    await settled;
    assert.deepEqual(await health(it), []);
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
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
    const counts: boolean[] = [];
    it.onReboot = ({ counted }) => counts.push(counted) > 0;
    await it.until(async () => (await command(it, 'REBOOT_DEVICE', 'please')) === 'accepted');
    await it.until(() => it.reboots.includes('COMMAND'));
    assert.deepEqual(counts, [false]);
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

  it('about a revision that the disk does not give are refused, and nothing is in the way of the next', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    mkdirSync(join(it.storage, 'trails/locals/loop'));
    symlinkSync('.pvr', join(it.storage, 'trails/locals/loop/.pvr'));
    for (const op of ['LOCAL_RUN', 'LOCAL_APPLY', 'MAKE_FACTORY'] as const) {
      assert.equal(await command(it, op, 'locals/loop'), 'STORE_FAILED', op);
    }
    assert.equal(await command(it, 'LOCAL_APPLY', 'locals/x'), 'accepted');
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

  it('apply is told over a restart of state-svc as it was before', async () => {
    const it = await open(THREE);
    for (const name of ['locals/x', 'locals/y']) await install(it, name, CHANGED_B);
    await command(it, 'LOCAL_APPLY', 'locals/x');
    await reaches(it, 'locals/x', 'Update applied');
    await (await it.boot()).settled;
    // Which begins when what is told of others is tidied up.
    await it.until(async () => (await command(it, 'LOCAL_APPLY', 'locals/y')) === 'accepted');
    await reaches(it, 'locals/y', 'Update applied');
    await reaches(it, 'locals/x', 'Update applied');
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

describe('make factory', () => {
  const stateText = ({ storage }: Device, name: string) =>
    readFileSync(join(storage, 'trails', name, '.pvr/json'), 'utf8');

  it('goes on when state-svc dies between its word and the beginning', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const release = it.world.hold('lxc.listContainers');
    await it.boot();
    assert.equal(await command(it, 'MAKE_FACTORY', 'locals/x'), 'accepted');
    assert.equal(onDisk(it).asked.revision, '0');
    await it.boot();
    release();
    await reaches(it, '0', TESTING_LIVE);
    await holds(it);
    await reaches(it, '0', 'Factory revision');
    assert.equal(stateText(it, '0'), stateText(it, 'locals/x'));
  });

  it('is refused when the disk does not take it, and nothing is asked for then', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const [written, factory] = [onDisk(it), stateText(it, '0')];
    // What is written beside, to be renamed.
    mkdirSync(join(it.storage, 'trails/0/.pvr/json.new'));
    assert.equal(await command(it, 'MAKE_FACTORY'), 'STORE_FAILED');
    assert.deepEqual([onDisk(it), stateText(it, '0')], [written, factory]);
    assert.equal(await command(it, 'LOCAL_APPLY', 'locals/x'), 'accepted');
  });
});

describe('steps that are in use', () => {
  it('cannot be put with another state', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const put = async (document: object) => {
      const id = uploadId();
      const began = await it.state.beginUpload({ id });
      assert.ok(began.ok && began.value.kind === 'upload');
      writeFileSync(began.value.path, JSON.stringify(document));
      const answer = await it.state.putStep({ name: 'locals/x', id });
      return answer.ok ? 'ok' : answer.error.code;
    };
    assert.equal(await put(stateOf(THREE, {}).document), 'STEP_IN_USE');
    assert.equal(await put(stateOf(CHANGED_B, {}).document), 'ok');
  });

  it('cannot be put either when they are asked for while the other one is written', async () => {
    const { storage } = await open(THREE);
    const steps = openStepStore(storage, silentLogger);
    const store = openRevisionStore(storage, {
      checksum: async (path) => checksumFile(path),
      close: async () => undefined,
    });
    let asked: string | undefined;
    const desk = await openDesk({
      storage,
      store,
      clock: systemClock,
      log: silentLogger,
      reservedPercent: () => 0,
      makeRoom: async () => undefined,
      steps: {
        ...steps,
        put: (...what) => {
          asked = what[0] === 'locals/y' ? 'is needed for an update' : undefined;
          return steps.put(...what);
        },
      },
      usedFor: () => asked,
    });
    const put = async (name: string, document: object) => {
      const id = uploadId();
      const began = await desk.uploads.begin({ id }, new AbortController().signal);
      assert.ok('path' in began);
      writeFileSync(began.path, JSON.stringify(document));
      return (await desk.put(name, id))?.code ?? 'ok';
    };
    const [one, other] = [stateOf(CHANGED_B, {}).document, stateOf(THREE, {}).document];
    assert.equal(await put('locals/x', one), 'ok');
    mkdirSync(join(storage, 'trails/locals/y/.pvr'), { recursive: true });
    writeFileSync(join(storage, 'trails/locals/y/.pvr/json'), 'as it was');
    assert.equal(await put('locals/y', other), 'STEP_IN_USE');
    assert.equal(await steps.stateText('locals/y'), 'as it was');
    assert.deepEqual(readdirSync(join(storage, 'trails/locals')).sort(), ['x', 'y']);
  });
});
