import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkPools } from '../../shared/revision/pool-rules.ts';
import type { Pool } from '../../shared/schema/network.ts';

const internal: Pool = {
  name: 'internal',
  type: 'bridge',
  bridge: 'pvbr0',
  subnet: '10.0.5.0/24',
  gateway: '10.0.5.1',
  nat: true,
};
const lab: Pool = { ...internal, name: 'lab', bridge: 'pvbr1', subnet: '10.0.6.0/24', gateway: '10.0.6.1', nat: false };
const codes = (...pools: Pool[]): string[] =>
  checkPools(pools.map((pool, index) => ({ path: `pools[${index}]`, pool }))).map(
    ({ path, code }) => `${path} ${code}`,
  );

describe('pool rules', () => {
  it('accepts pools that share nothing', () => {
    assert.deepEqual(codes(internal, lab), []);
  });

  it('accepts the gateway anywhere but at the ends, from /8 to /30', () => {
    assert.deepEqual(codes({ ...internal, gateway: '10.0.5.254' }), []);
    assert.deepEqual(codes({ ...internal, subnet: '10.0.0.0/8', gateway: '10.77.0.0' }), []);
    assert.deepEqual(codes({ ...internal, subnet: '10.0.5.4/30', gateway: '10.0.5.6' }), []);
  });

  const alone: [string, Partial<Pool>, string][] = [
    ['subnet that is none', { subnet: 'ten/24' }, 'pools[0].subnet BAD_SUBNET'],
    ['host bits', { subnet: '10.0.5.1/24' }, 'pools[0].subnet SUBNET_HOST_BITS'],
    ['prefix of 7', { subnet: '10.0.0.0/7' }, 'pools[0].subnet BAD_PREFIX'],
    ['prefix of 31', { subnet: '10.0.5.0/31' }, 'pools[0].subnet BAD_PREFIX'],
    ['gateway that is none', { gateway: '10.0.5' }, 'pools[0].gateway BAD_GATEWAY'],
    ['gateway outside', { gateway: '10.0.6.1' }, 'pools[0].gateway GATEWAY_OUTSIDE'],
    ['gateway on the network address', { gateway: '10.0.5.0' }, 'pools[0].gateway GATEWAY_UNUSABLE'],
    ['gateway on the broadcast address', { gateway: '10.0.5.255' }, 'pools[0].gateway GATEWAY_UNUSABLE'],
    ['bridge with a shell in it', { bridge: 'br0; reboot' }, 'pools[0].bridge BAD_BRIDGE'],
    ['bridge ..', { bridge: '..' }, 'pools[0].bridge BAD_BRIDGE'],
    ['bridge of 16 characters', { bridge: 'a'.repeat(16) }, 'pools[0].bridge BAD_BRIDGE'],
    ['name with a slash', { name: 'a/b' }, 'pools[0] BAD_POOL_NAME'],
  ];
  for (const [title, change, expected] of alone) {
    it(`refuses a ${title}`, () => assert.deepEqual(codes({ ...internal, ...change }), [expected]));
  }

  it('refuses pools that share a name, a bridge or addresses, once a pair', () => {
    assert.deepEqual(codes(internal, { ...lab, name: 'internal' }), ['pools[1] DUPLICATE_POOL']);
    assert.deepEqual(codes(internal, { ...lab, bridge: 'pvbr0' }), ['pools[1].bridge DUPLICATE_BRIDGE']);
    assert.deepEqual(codes(internal, { ...lab, subnet: '10.0.0.0/16', gateway: '10.0.6.1' }), [
      'pools[1].subnet OVERLAPPING_SUBNETS',
    ]);
  });

  it('lets macvlan pools share a parent, and nothing else', () => {
    const lan: Pool = { ...internal, name: 'lan', type: 'macvlan', bridge: 'eth0', nat: false };
    const other: Pool = { ...lan, name: 'other', subnet: '10.0.7.0/24', gateway: '10.0.7.1' };
    assert.deepEqual(codes(lan, other), []);
    assert.deepEqual(codes(lan, { ...other, subnet: lan.subnet, gateway: lan.gateway }), [
      'pools[1].subnet OVERLAPPING_SUBNETS',
    ]);
    assert.deepEqual(codes(lan, { ...lab, bridge: 'eth0' }), ['pools[1].bridge DUPLICATE_BRIDGE']);
    assert.deepEqual(codes(lab, { ...lan, bridge: lab.bridge }), ['pools[1].parent DUPLICATE_BRIDGE']);
    assert.deepEqual(codes({ ...lan, bridge: 'lo' }, { ...lab, bridge: 'lo' }).slice(0, 2), [
      'pools[0].parent BAD_BRIDGE',
      'pools[1].bridge BAD_BRIDGE',
    ]);
  });

  it('reports everything that is wrong at once', () => {
    assert.deepEqual(
      codes(
        { ...internal, bridge: 'a b', subnet: '10.0.5.9/24', gateway: '1.2.3' },
        { ...lab, gateway: '10.0.5.1' },
        lab,
      ),
      [
        'pools[0].bridge BAD_BRIDGE',
        'pools[0].subnet SUBNET_HOST_BITS',
        'pools[0].gateway BAD_GATEWAY',
        'pools[1].gateway GATEWAY_OUTSIDE',
        'pools[2] DUPLICATE_POOL',
        'pools[2].bridge DUPLICATE_BRIDGE',
        'pools[2].subnet OVERLAPPING_SUBNETS',
      ],
    );
  });
});
