// Pools that cannot be made when a revision wants them, or not be told of at all: who waits, who is started, and what is given up.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { POOL, TRIAL } from './device.ts';
import { APP, health, POOLED, useDevices } from './kit.ts';
import { command, deviceForEach, install, onDisk, progressOf, reaches, TESTING_LIVE } from './updates-kit.ts';

const open = useDevices();
const openRunning = deviceForEach();
/** As long as a name may be, so that fewer of them do not fit a message. */
const LONG = 63;
const WIDE = 'wide'.padEnd(LONG, '-');
const NETWORK = {
  network: {
    pools: { internal: POOL, [WIDE]: { ...POOL, bridge: 'wide', subnet: '10.1.0.0/16', gateway: '10.1.0.1' } },
  },
};
const PROBLEM = 'A container could not be started';

/** That many containers, each with a fixed address. */
const fixed = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => {
      const network = { pool: WIDE, ip: `10.1.${1 + (index >> 8)}.${index & 255}` };
      return [`container-${index}-`.padEnd(LONG, 'x'), { ...APP, status_goal: 'MOUNTED', network }];
    }),
  );

describe('pools that come late', () => {
  it('let a container start that waited for them, also where another revision has taken over', async () => {
    const it = await open({ web: { ...APP, ...POOLED }, b: APP }, NETWORK);
    it.world.troubles.set('ipam.configure 2', 'refuse').set('ipam.allocate web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    await it.untilStatus('b', 'STARTED');
    await install(it, 'locals/x', { web: { ...APP, ...POOLED }, b: { ...APP, logs: [] } }, NETWORK);
    it.world.troubles.clear();
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await it.untilStatus('web', 'STARTED');
    await reaches(it, 'locals/x', TESTING_LIVE);
  });

  it('let a container start that failed for want of them when it was tried again for a service that had been away', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('ipam.configure 1', 'refuse');
    const down = () => it.world.troubles.set('net.attach web', 'die');
    down();
    await it.boot();
    await it.until(() => {
      if (it.history.get('web')?.at(-1) === 'RECOVERING') return true;
      down();
      it.clock.advance(4_000);
      return false;
    });
    it.world.troubles.set('ipam.configure 1', 'refuse').set('net.attach web', 'refuse');
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STOPPED');
    it.world.troubles.clear();
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STARTED');
  });
});

describe('pools that ipam-svc cannot be told of', () => {
  it('are told without interfaces where these do not fit as well', async () => {
    const it = await open(fixed(300), NETWORK);
    await (await it.boot()).settled;
    assert.deepEqual([it.world.reservations.length, it.world.interfaces], [300, undefined]);
    assert.deepEqual(await health(it), []);
  });

  it('refuse the revision', async () => {
    const it = await open(fixed(380), NETWORK);
    await (await it.boot()).settled;
    const [reason] = await health(it);
    assert.deepEqual([reason?.code, reason?.subject], ['REVISION_REFUSED', 'device.json.network']);
    assert.match(reason?.message ?? '', /^TOO_MANY_ADDRESSES: .*380/);
  });

  it('have an update rolled back', async () => {
    const it = await openRunning({ a: APP }, NETWORK);
    await install(it, 'locals/x', { a: { ...APP, logs: [] }, ...fixed(380) }, NETWORK);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await eventually('the update failed', PATIENCE_MS, async () => {
      // lxc-svc takes so many requests at a time, and is asked again by the clock.
      it.clock.advance(1_000);
      return (await progressOf(it, 'locals/x'))['status-msg'] === PROBLEM;
    });
    assert.deepEqual(onDisk(it).failed, ['locals/x']);
    await it.untilStatus('a', 'STARTED');
  });

  /** Past the time in which what is tried must come up. */
  const passes = async (it: Awaited<ReturnType<typeof open>>) => {
    const began = it.clock.elapsedMs();
    // It is asked again every 5 s.
    await it.until(() => {
      if (it.lines.some((line) => line.includes('locals/x did not make it'))) return true;
      it.clock.advance(5_000);
      return it.clock.elapsedMs() > began + 2 * TRIAL.goalsTimeoutMs;
    });
  };

  it('have an update rolled back when nobody answers for as long as it may take to come up', async () => {
    const it = await openRunning({ a: APP }, NETWORK);
    await install(it, 'locals/x', { a: { ...APP, logs: [] } }, NETWORK);
    it.world.troubles.set('ipam.configure 2', 'throw');
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await it.until(() => it.lines.some((line) => /ipam-svc\.configure.*trying again/.test(line)));
    await passes(it);
    it.world.troubles.clear();
    it.clock.advance(5_000);
    await reaches(it, 'locals/x', PROBLEM);
    await it.untilStatus('a', 'STARTED');
    assert.deepEqual(onDisk(it).failed, ['locals/x']);
  });

  it('have an update by a reboot rolled back when nobody answers for as long', async () => {
    const it = await openRunning({ a: APP }, NETWORK);
    const other = { network: { pools: { ...NETWORK.network.pools, internal: { ...POOL, nat: false } } } };
    await install(it, 'locals/x', { a: APP }, other);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', 'Rebooting');
    it.world.cutPower();
    it.world.troubles.set('ipam.configure 2', 'throw');
    await it.boot({ tree: true });
    await it.until(() => it.lines.some((line) => /ipam-svc\.configure.*trying again/.test(line)));
    await passes(it);
    await reaches(it, 'locals/x', PROBLEM);
    await eventually('a reboot for it', PATIENCE_MS, () => it.reboots.at(-1) === 'UPDATE_ROLLED_BACK');
  });
});
