// Pools against what the machine uses itself.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { formatIpv4 } from '../../shared/ipv4/address.ts';
import { mustParseSubnet } from '../../shared/ipv4/subnet.ts';
import { nameServersOf, overlapMessage, overlapsWithHost } from '../../shared/revision/host-overlap.ts';

const POOL = { name: 'internal', subnet: '10.0.5.0/24', gateway: '10.0.5.1' };
const host = (...subnets: string[]) => subnets.map((text) => ({ name: text, subnet: mustParseSubnet(text) }));
const found = (...subnets: string[]) => overlapsWithHost([POOL], host(...subnets)).map((overlap) => overlap.with);

describe('overlapsWithHost', () => {
  it('finds what contains a pool, is inside it, or is the same', () => {
    assert.deepEqual(found('10.0.0.0/8', '10.0.5.128/25', '10.0.5.0/24', '10.0.5.77/32'), [
      '10.0.0.0/8',
      '10.0.5.128/25',
      '10.0.5.0/24',
      '10.0.5.77/32',
    ]);
  });

  it('lets neighbours, default routes and a name server at the gateway be', () => {
    assert.deepEqual(found('10.0.4.0/24', '10.0.6.0/23', '0.0.0.0/0', '10.0.5.1/32', '192.168.0.0/16'), []);
  });

  it('takes the two halves of everything for the default route that they stand for', () => {
    assert.deepEqual(found('0.0.0.0/1', '128.0.0.0/1', '0.0.0.0/2'), ['0.0.0.0/2']);
  });

  it('names pool, subnet and what it overlaps in one sentence', () => {
    const [overlap] = overlapsWithHost([POOL], host('10.0.0.0/8'));
    assert.ok(overlap !== undefined);
    const message = overlapMessage(overlap);
    for (const part of ["'internal'", '10.0.5.0/24', '10.0.0.0/8', 'another subnet']) assert.ok(message.includes(part));
  });

  it('tells at most four for a pool', () => {
    const many = Array.from({ length: 200 }, (_, at) => `10.0.5.${at + 2}/32`);
    assert.equal(found(...many).length, 4);
  });

  it('says overlap exactly when an address is in both', () => {
    const subnet = fc
      .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 25, max: 31 }))
      .map(([octet, length]) => {
        const size = 2 ** (32 - length);
        return `${formatIpv4(0x0a000500 + octet - (octet % size))}/${length}`;
      });
    fc.assert(
      fc.property(subnet, subnet, (a, b) => {
        const [one, two] = [mustParseSubnet(a), mustParseSubnet(b)];
        let common = false;
        for (let at = one.first; at <= one.last; at += 1) common ||= at >= two.first && at <= two.last;
        const overlaps = overlapsWithHost([{ name: 'p', subnet: a, gateway: '192.0.2.1' }], host(b));
        assert.equal(overlaps.length > 0, common);
      }),
    );
  });
});

describe('nameServersOf', () => {
  it('reads the IPv4 name servers of a resolv.conf', () => {
    const text =
      '# nameserver 1.1.1.1\nnameserver 10.0.5.53\nnameserver\t192.0.2.1 \nnameserver fe80::1\nsearch lan\nnameserver 300.1.1.1\n';
    assert.deepEqual(
      nameServersOf(text).map(({ name, server }) => [name, server]),
      [
        ['name server 10.0.5.53', '10.0.5.53'],
        ['name server 192.0.2.1', '192.0.2.1'],
      ],
    );
  });
});
