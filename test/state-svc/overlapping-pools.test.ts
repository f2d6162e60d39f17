// Pools in the way of something that the machine uses: new ones are refused, and those of a revision that ran before wait for it to go.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { POOL } from './device.ts';
import { APP, health, POOLED, turnsOfTheLoop, useDevices } from './kit.ts';
import { command, deviceForEach, install, onDisk, reaches } from './updates-kit.ts';

const open = useDevices();
const openRunning = deviceForEach();
const WEB = { web: { ...APP, ...POOLED } };
const NETWORK = { network: { pools: { internal: POOL } } };
const ROUTE = { with: 'route 10.0.0.0/8 by wg0' };
const server = (address: string) => ({ with: `name server ${address}`, server: address });

describe('a pool that hides what the machine uses', () => {
  it('has its containers of a revision that ran before wait, and those of no other pool, until it hides it no more', async () => {
    const other = { ...POOL, bridge: 'pvbr1', subnet: '10.0.6.0/24', gateway: '10.0.6.1' };
    const it = await open(
      { ...WEB, plain: APP, lab: { ...APP, network: { pool: 'lab' } } },
      { network: { pools: { internal: POOL, lab: other } } },
    );
    it.world.poolOverlap = ROUTE;
    await (await it.boot()).settled;
    for (const name of ['plain', 'lab']) await it.untilStatus(name, 'STARTED');
    await it.untilStatus('web', 'STOPPED');
    const [reason] = await health(it);
    assert.deepEqual([reason?.code, reason?.subject], ['POOLS_NOT_READY', 'pool internal']);
    assert.match(reason?.message ?? '', /10.0.5.0.24, which overlaps this machine's route 10.0.0.0.8 by wg0/);
    assert.deepEqual(it.reboots, []);
    it.world.poolOverlap = undefined;
    it.world.awaitedChanged();
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(await health(it), []);
  });

  it('is looked at once a minute where nobody tells of it', async () => {
    const it = await open(WEB);
    it.world.poolOverlap = ROUTE;
    await (await it.boot()).settled;
    await it.untilStatus('web', 'STOPPED');
    const { calls } = it.world;
    const before = calls.length;
    it.clock.advance(55_000);
    await turnsOfTheLoop();
    assert.equal(calls.length, before);
    it.world.poolOverlap = undefined;
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STARTED');
  });

  it('has an update refused', async () => {
    const it = await openRunning(WEB, NETWORK);
    await install(it, 'locals/x', { web: { ...WEB.web, logs: [] } }, NETWORK);
    it.world.poolOverlap = ROUTE;
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await eventually('it is given up', PATIENCE_MS, () => onDisk(it).failed?.includes('locals/x'));
    assert.ok(it.lines.some((line) => /revision locals\/x refused: .*overlaps this machine's route/.test(line)));
    it.world.poolOverlap = undefined;
    it.world.awaitedChanged();
    await reaches(it, 'locals/x', 'A container could not be started');
    await it.untilStatus('web', 'STARTED');
  });
});

describe('a name server in a pool', () => {
  const starts = async (it: Awaited<ReturnType<typeof open>>): Promise<void> => {
    await (await it.boot()).settled;
    await it.untilStatus('dns', 'STARTED');
    assert.deepEqual(await health(it), []);
  };

  it('may be a container with that address', async () => {
    const it = await open({ dns: { ...APP, network: { pool: 'internal', ip: '10.0.5.53' } } });
    it.world.poolOverlap = server('10.0.5.53');
    await starts(it);
  });

  it('may be a container that has a lease of it', async () => {
    const it = await open({ dns: { ...APP, ...POOLED } });
    it.world.leases.set('dns', '10.0.5.7').set('other', '10.0.5.9');
    it.world.poolOverlap = server('10.0.5.7');
    await starts(it);
  });

  for (const [address, whose] of [
    ['10.0.5.8', 'nobody’s'],
    ['10.0.5.9', 'of a container that is in no revision'],
  ] as const) {
    it(`is hidden by it where the address is ${whose}`, async () => {
      const it = await open({ dns: { ...APP, ...POOLED } });
      it.world.leases.set('dns', '10.0.5.7').set('other', '10.0.5.9');
      it.world.poolOverlap = server(address);
      await (await it.boot()).settled;
      assert.equal((await health(it))[0]?.code, 'POOLS_NOT_READY');
    });
  }
});
