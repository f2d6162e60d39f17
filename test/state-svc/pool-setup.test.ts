import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createNews } from '../../services/state-svc/news.ts';
import { ALL_STAND, type Configured, keepConfiguring } from '../../services/state-svc/pool-setup.ts';
import { ok } from '../../shared/ipc/contract.ts';
import { createDevice, POOL } from './device.ts';
import { turnsOfTheLoop } from './kit.ts';
import { createTestClock } from './test-clock.ts';

const LAN = { type: 'macvlan', parent: 'eth0', subnet: '192.0.2.0/24', gateway: '192.0.2.1' };

describe('state-svc.configure', () => {
  it('tells ipam-svc which addresses of a macvlan pool the machine itself has', async () => {
    const it = await createDevice({}, { network: { pools: { internal: POOL, lan: LAN } } });
    try {
      it.world.hostAddresses = ['192.0.2.7', '10.1.1.1'];
      await (await it.boot()).settled;
      assert.deepEqual(
        it.world.pools.map(({ name, hostAddresses }) => [name, hostAddresses]),
        [
          ['internal', undefined],
          ['lan', ['10.1.1.1', '192.0.2.7']],
        ],
      );
    } finally {
      await it.close();
    }
  });

  it('tells ipam-svc which interfaces the revision has, and with which MAC', async () => {
    const mac = '02:11:22:33:44:55';
    const interfaces = [{ pool: 'internal' }, { pool: 'lan', mac_address: mac }];
    const it = await createDevice(
      {
        web: { group: 'app', network: { pool: 'internal', mac } },
        both: { group: 'app', network: { interfaces } },
        alone: { group: 'app' },
      },
      { network: { pools: { internal: POOL, lan: LAN } } },
    );
    try {
      await (await it.boot()).settled;
      assert.deepEqual(it.world.interfaces, {
        internal: { 'web/eth0': mac, 'both/eth0': null },
        lan: { 'both/eth1': mac },
      });
    } finally {
      await it.close();
    }
  });

  for (const [network, told] of [
    [{ pool: 'internal' }, undefined],
    [{ pool: 'internal', ip: '10.0.5.9' }, { internal: { 'web/eth0': null, 'old/net0': null } }],
  ] as const) {
    it(`tells ipam-svc ${told === undefined ? 'no interfaces where nothing is fixed' : 'them where an address is'}`, async () => {
      const lxc = 'lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.0.5.8/24\n';
      const it = await createDevice({
        web: { group: 'app', network },
        ...(told === undefined ? {} : { old: { group: 'app', lxc } }),
      });
      try {
        await (await it.boot()).settled;
        assert.deepEqual(it.world.interfaces, told);
      } finally {
        await it.close();
      }
    });
  }

  /** Whether net-svc hears of the pools while ipam-svc has not answered. */
  const areMadeMeanwhile = async (nothingRuns: boolean): Promise<boolean> => {
    const it = await createDevice({});
    const release = it.world.hold('ipam.configure');
    const has = (call: string): boolean => it.world.calls.some((made) => made.startsWith(call));
    try {
      const { settled } = await it.boot({ nothingRuns });
      await it.until(() => has('ipam.configure'));
      const early = has('net.configure');
      release();
      await settled;
      assert.ok(has('net.configure'));
      return early;
    } finally {
      release();
      await it.close();
    }
  };

  it('has links made while leases are read where nothing runs', async () => {
    assert.equal(await areMadeMeanwhile(true), true);
  });

  it('changes no links before ipam-svc has taken the pools where something may run', async () => {
    assert.equal(await areMadeMeanwhile(false), false);
  });

  it('asks nobody for addresses without a macvlan pool', async () => {
    const it = await createDevice({});
    try {
      it.world.hostAddresses = ['10.0.5.7'];
      await (await it.boot()).settled;
      assert.deepEqual(
        it.world.pools.map(({ hostAddresses }) => hostAddresses),
        [undefined],
      );
    } finally {
      await it.close();
    }
  });
});

describe('state-svc.keepConfiguring', () => {
  for (const [what, isFollowed] of [
    ['tells that pools stand now', false],
    ['tells nothing of pools that came to stand while another revision followed', true],
  ] as const) {
    it(what, async () => {
      const clock = createTestClock();
      let isWanted = true;
      const peers = {
        ipam: { configure: async () => ok({}) },
        net: {
          configure: async () => {
            isWanted = !isFollowed;
            return ok({ nat: 'unneeded', leftOut: [] });
          },
        },
      };
      const reasons = [{ code: 'POOLS_NOT_READY', subject: '', message: 'no room' }];
      const told: Configured[] = [];
      const over = keepConfiguring(
        { pools: [], reservations: [], containers: [] } as never,
        { ...ALL_STAND, reasons },
        { peers: peers as never, ask: (call) => call(), news: createNews(clock) },
        () => isWanted,
        (configured) => void told.push(configured),
      );
      await turnsOfTheLoop();
      clock.advance(5_000);
      await over;
      assert.deepEqual(told, isFollowed ? [] : [ALL_STAND]);
    });
  }
});
