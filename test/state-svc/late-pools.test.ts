// Pools that cannot be made when a revision wants them, or not be told of at all: who waits, who is started, and what is given up.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { POOL, TRIAL } from './device.ts';
import { APP, health, POOLED, useDevices } from './kit.ts';
import { command, deviceForEach, install, onDisk, reaches, TESTING_LIVE } from './updates-kit.ts';

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

  it('are told no more of a revision that another one has followed meanwhile', async () => {
    const it = await open({ web: { ...APP, ...POOLED }, b: APP }, NETWORK);
    it.world.troubles.set('ipam.configure 2', 'refuse').set('ipam.allocate web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    await install(it, 'locals/x', { web: { ...APP, ...POOLED }, b: { ...APP, logs: [] } }, NETWORK);
    it.world.troubles.clear();
    const calls = (step: string): number => it.world.calls.filter((call) => call === `${step} 2`).length;
    const before = { ipam: calls('ipam.configure'), net: calls('net.configure') };
    const release = it.world.hold('ipam.configure');
    await eventually('another try is due', PATIENCE_MS, () => it.clock.armed().includes(5_000));
    it.clock.advance(5_000);
    await eventually('the revision before asks', PATIENCE_MS, () => calls('ipam.configure') === before.ipam + 1);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await eventually('the one after it asks', PATIENCE_MS, () => calls('ipam.configure') === before.ipam + 2);
    release();
    await it.untilStatus('web', 'STARTED');
    await reaches(it, 'locals/x', TESTING_LIVE);
    assert.equal(calls('net.configure'), before.net + 1);
  });

  it('do not start a container that the user has stopped meanwhile', async () => {
    const it = await open({ web: { ...APP, ...POOLED }, b: { ...APP, ...POOLED } });
    it.world.troubles
      .set('ipam.configure 1', 'refuse')
      .set('ipam.allocate web', 'refuse')
      .set('ipam.allocate b', 'refuse');
    await it.boot();
    for (const name of ['web', 'b']) await it.untilStatus(name, 'STOPPED');
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
    it.world.troubles.clear();
    it.clock.advance(5_000);
    await it.untilStatus('b', 'STARTED');
    assert.deepEqual([(await it.rows()).web?.status, it.history.get('web')?.at(-1)], ['STOPPED', 'STOPPED']);
  });
});

describe('pools that fit no message', () => {
  const names = (it: Awaited<ReturnType<typeof open>>) => Object.keys(it.world.interfaces?.[WIDE] ?? {}).sort();
  const isWhole = (it: Awaited<ReturnType<typeof open>>, count: number) => {
    const wanted = Object.keys(fixed(count)).sort();
    assert.deepEqual(it.world.reservations.map(({ container }) => container).sort(), wanted);
    assert.deepEqual(
      names(it),
      wanted.map((name) => `${name}/eth0`),
    );
  };

  it('are told in parts, with all addresses and interfaces', async () => {
    const it = await open(fixed(400), NETWORK);
    await (await it.boot()).settled;
    isWhole(it, 400);
    assert.ok(it.world.calls.filter((call) => call.startsWith('ipam.prepare')).length > 2);
    assert.deepEqual(await health(it), []);
  });

  it('are told anew where ipam-svc restarts in the middle', async () => {
    const it = await open(fixed(400), NETWORK);
    it.world.troubles.set('ipam.prepare 1', 'die');
    const { settled } = await it.boot();
    await it.until(() => it.clock.armed().includes(50));
    it.clock.advance(50);
    await settled;
    isWhole(it, 400);
    assert.ok(it.world.calls.filter((call) => call === 'ipam.prepare 0').length > 1);
  });
});

describe('pools that ipam-svc cannot be told of', () => {
  /** The machine has more addresses on the parent of all these than a message holds, told for each. */
  const lans = Array.from({ length: 6 }, (_, index): [string, object] => [
    `lan${index}`,
    { type: 'macvlan', parent: 'eth0', subnet: `10.${2 + index}.0.0/16`, gateway: `10.${2 + index}.0.1` },
  ]);
  const CROWDED = { network: { pools: { ...NETWORK.network.pools, ...Object.fromEntries(lans) } } };
  const crowd = (it: Awaited<ReturnType<typeof open>>) => {
    it.world.hostAddresses = Array.from({ length: 1200 }, (_, index) => `10.2.${1 + (index >> 8)}.${index & 255}`);
  };

  it('refuse the revision', async () => {
    const it = await open(fixed(3), CROWDED);
    crowd(it);
    await (await it.boot()).settled;
    const [reason] = await health(it);
    assert.deepEqual([reason?.code, reason?.subject], ['REVISION_REFUSED', 'device.json.network']);
    assert.match(reason?.message ?? '', /^TOO_MANY_ADDRESSES: 8 pools with 3 fixed addresses/);
  });

  it('have an update rolled back', async () => {
    const it = await openRunning({ a: APP }, CROWDED);
    crowd(it);
    await install(it, 'locals/x', { a: { ...APP, logs: [] } }, CROWDED);
    const isGivenUp = it.until(() => it.lines.some((line) => line.includes('locals/x did not make it')));
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await isGivenUp;
    it.world.hostAddresses = [];
    await reaches(it, 'locals/x', PROBLEM);
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
