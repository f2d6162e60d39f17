// macvlan pools whose parent the machine does not have when a revision wants them: only their containers wait for it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { POOL } from './device.ts';
import { APP, FAILED, health, POOLED, RETRY, turnsOfTheLoop, useDevices } from './kit.ts';
import { command, deviceForEach, install, reaches } from './updates-kit.ts';

const open = useDevices();
const openRunning = deviceForEach();

const lan = (parent: string, third: number) => ({
  type: 'macvlan',
  parent,
  subnet: `192.0.${third}.0/24`,
  gateway: `192.0.${third}.1`,
});
const NETWORK = { network: { pools: { internal: POOL, lan: lan('wlan0', 2), field: lan('eth9', 3) } } };
const ON_LAN = { ...APP, network: { pool: 'lan' } };
const codes = async (it: Awaited<ReturnType<typeof open>>) => (await health(it)).map(({ code }) => code);
const configured = (it: Awaited<ReturnType<typeof open>>): number =>
  it.world.calls.filter((call) => call.startsWith('net.configure')).length;
/** Without word of the machine. */
const FALLBACK_MS = 60_000;
const isDue = (it: Awaited<ReturnType<typeof open>>) =>
  eventually('a look at the parents is due', PATIENCE_MS, () => it.clock.armed().includes(FALLBACK_MS));
const looksAgain = async (it: Awaited<ReturnType<typeof open>>): Promise<void> => {
  await isDue(it);
  it.clock.advance(FALLBACK_MS);
};

describe('a macvlan pool whose parent is missing', () => {
  it('has its own containers wait, and nobody else; they start when it is there', async () => {
    const it = await open(
      { web: { ...APP, ...POOLED }, cam: ON_LAN, probe: { ...APP, network: { pool: 'field' } } },
      NETWORK,
    );
    it.world.missingLinks = ['wlan0', 'eth9'];
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    for (const name of ['cam', 'probe']) await it.untilStatus(name, 'STOPPED');
    assert.deepEqual(await codes(it), ['CONTAINER_FAILED', 'CONTAINER_FAILED']);
    it.world.missingLinks = ['eth9'];
    it.world.hostAddresses = ['192.0.2.7'];
    await looksAgain(it);
    await it.untilStatus('cam', 'STARTED');
    assert.deepEqual(it.world.pools.find(({ name }) => name === 'lan')?.hostAddresses, ['192.0.2.7']);
    assert.equal((await it.rows()).probe?.status, 'STOPPED');
    it.world.missingLinks = [];
    await isDue(it);
    it.world.awaitedChanged();
    await it.untilStatus('probe', 'STARTED');
    assert.deepEqual(await health(it), []);
    assert.equal(it.history.get('web')?.filter((status) => status === 'STARTED').length, 1);
  });

  it('has nothing made anew while it stays away', async () => {
    const it = await open({ cam: ON_LAN, web: { ...APP, ...POOLED } }, NETWORK);
    it.world.missingLinks = ['wlan0'];
    it.world.troubles.set('net.attach web', 'refuse');
    await it.boot();
    for (const name of ['cam', 'web']) await it.untilStatus(name, 'STOPPED');
    const before = configured(it);
    for (let round = 0; round < 3; round += 1) await looksAgain(it);
    await isDue(it);
    assert.equal(configured(it), before);
    assert.equal(it.world.calls.filter((call) => call === 'net.attach web').length, 1);
  });

  it('has nobody started when it comes who failed for something else', async () => {
    const it = await open({ cam: ON_LAN, web: { ...APP, ...POOLED } }, NETWORK);
    it.world.missingLinks = ['wlan0'];
    it.world.troubles.set('net.attach web', 'refuse');
    await it.boot();
    for (const name of ['cam', 'web']) await it.untilStatus(name, 'STOPPED');
    it.world.missingLinks = [];
    await looksAgain(it);
    await it.untilStatus('cam', 'STARTED');
    await turnsOfTheLoop();
    assert.equal(it.world.calls.filter((call) => call === 'net.attach web').length, 1);
    assert.equal((await it.rows()).web?.status, 'STOPPED');
  });

  it('takes no device down whose system container needs it', async () => {
    const it = await open({ base: { group: 'root', network: { pool: 'lan' } } }, NETWORK);
    it.world.missingLinks = ['wlan0'];
    await it.boot();
    await it.untilStatus('base', 'STOPPED');
    it.world.missingLinks = [];
    await looksAgain(it);
    await it.untilStatus('base', 'STARTED');
    assert.deepEqual(it.reboots, []);
  });

  it('may come while a start that failed for want of it is undone', async () => {
    const it = await open({ base: { group: 'root', network: { pool: 'lan' } } }, NETWORK);
    it.world.missingLinks = ['wlan0', 'eth9'];
    const release = it.world.hold('lxc.unmount');
    await it.boot();
    await it.until(() => it.world.calls.includes('lxc.unmount base'));
    await isDue(it);
    it.world.missingLinks = ['eth9'];
    const before = configured(it);
    it.world.awaitedChanged();
    await eventually('its pool is made', PATIENCE_MS, () => configured(it) > before);
    await turnsOfTheLoop();
    release();
    await it.untilStatus('base', 'STARTED');
    assert.deepEqual(it.reboots, []);
  });

  it('has an update given up whose container needs it', async () => {
    const it = await openRunning({ web: { ...APP, ...POOLED } }, NETWORK);
    await install(it, 'locals/x', { web: { ...APP, ...POOLED }, cam: ON_LAN }, NETWORK);
    it.world.missingLinks = ['wlan0'];
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', 'A container could not be started');
    await it.untilStatus('web', 'STARTED');
  });
});

describe('a macvlan pool whose parent goes while its containers run', () => {
  const RECOVERED = { network: { pool: 'lan' }, auto_recovery: { ...RETRY, max_retries: 1, backoff_policy: 'reboot' } };
  const goes = async (it: Awaited<ReturnType<typeof open>>): Promise<void> => {
    await it.boot();
    await it.untilStatus('cam', 'STARTED');
    it.world.missingLinks = ['wlan0'];
    it.world.awaitedChanged();
    await eventually('it is told', PATIENCE_MS, () => it.lines.some((line) => line.includes('parent of pool lan is')));
    it.world.exit('cam', FAILED);
    await recoveryFails(it);
  };
  const recoveryFails = async (it: Awaited<ReturnType<typeof open>>): Promise<void> => {
    await it.untilStatus('cam', 'RECOVERING');
    it.clock.advance(5_000);
    await it.untilStatus('cam', 'STOPPED');
  };

  for (const [what, group] of [
    ['one that was to run', 'app'],
    ['one that nobody may start', 'root'],
  ] as const) {
    it(`has ${what} wait for it, without a try or a reboot more, and starts it when it is back`, async () => {
      const it = await open({ cam: { ...RECOVERED, group } }, NETWORK);
      await goes(it);
      assert.deepEqual([it.reboots, await codes(it)], [[], ['CONTAINER_FAILED']]);
      it.world.missingLinks = [];
      it.world.awaitedChanged();
      await it.untilStatus('cam', 'STARTED');
      assert.deepEqual([it.reboots, await health(it)], [[], []]);
    });
  }

  it('is known over a restart of state-svc meanwhile to have its containers’ network back with it', async () => {
    const it = await open({ cam: RECOVERED }, NETWORK);
    await it.boot();
    const { network } = await it.untilStatus('cam', 'STARTED');
    it.world.missingLinks = ['wlan0'];
    await (await it.boot()).settled;
    assert.deepEqual(await codes(it), ['NETWORK_UNKNOWN']);
    it.world.missingLinks = [];
    it.world.awaitedChanged();
    await it.until(async () => (await it.rows()).cam?.network !== undefined);
    assert.deepEqual([(await it.rows()).cam?.network, await health(it)], [network, []]);
    assert.equal(it.world.calls.filter((call) => call === 'lxc.start cam').length, 1);
  });

  it('has nothing made anew when it goes, and its pool when it is back', async () => {
    const it = await open({ cam: RECOVERED }, NETWORK);
    await it.boot();
    await it.untilStatus('cam', 'STARTED');
    const before = configured(it);
    it.world.missingLinks = ['wlan0'];
    it.world.awaitedChanged();
    await isDue(it);
    assert.equal(configured(it), before);
    it.world.missingLinks = [];
    it.world.awaitedChanged();
    await eventually('it is made', PATIENCE_MS, () => configured(it) === before + 1);
  });
});
