import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createDevice, POOL } from './device.ts';

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
