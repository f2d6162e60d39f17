import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { formatIpv4, macOf, mustParseIpv4, parseIpv4 } from '../../shared/ipv4/address.ts';
import { mustParseSubnet, parseSubnet, subnetContains, subnetSize, subnetsOverlap } from '../../shared/ipv4/subnet.ts';
import { ipv4, unicastMac } from '../../shared/schema/names.ts';

const address = fc.integer({ min: 0, max: 0xffffffff });

describe('ipv4.address', () => {
  it('reads back every address it writes', () => {
    fc.assert(fc.property(address, (value) => parseIpv4(formatIpv4(value)) === value));
  });

  it('refuses what is not four plain decimal octets', () => {
    for (const text of [
      '',
      '10.0.3',
      '10.0.3.256',
      '10.0.3.02',
      '10.0.3.2.1',
      ' 10.0.3.2',
      '0x0a.0.3.2',
      '10.0.3.-1',
      '1e1.0.0.1',
    ]) {
      assert.equal(parseIpv4(text), undefined, text);
      assert.throws(() => mustParseIpv4(text));
    }
  });

  it('agrees with the schema on every string of digits and dots', () => {
    const octets = fc.array(fc.stringMatching(/^[0-9]{0,4}$/), { minLength: 3, maxLength: 5 });
    fc.assert(
      fc.property(octets, (parts) => {
        const text = parts.join('.');
        return (parseIpv4(text) !== undefined) === ipv4.safeParse(text).success;
      }),
    );
  });

  it('derives 02:00: and the four octets, one MAC an address, always unicast', () => {
    assert.equal(macOf(mustParseIpv4('10.0.5.50')), '02:00:0a:00:05:32');
    fc.assert(fc.property(address, address, (a, b) => (macOf(a) === macOf(b)) === (a === b)));
    fc.assert(fc.property(address, (a) => unicastMac.safeParse(macOf(a)).success));
  });
});

describe('ipv4.subnet', () => {
  it('knows first, last and size', () => {
    const subnet = mustParseSubnet('10.0.3.0/24');
    assert.equal(formatIpv4(subnet.first), '10.0.3.0');
    assert.equal(formatIpv4(subnet.last), '10.0.3.255');
    assert.equal(subnetSize(subnet), 256);
    assert.equal(subnetSize(mustParseSubnet('0.0.0.0/0')), 2 ** 32);
    assert.equal(subnetSize(mustParseSubnet('255.255.255.255/32')), 1);
  });

  it('says what the subnet with clean host bits would be', () => {
    assert.deepEqual(parseSubnet('10.0.3.1/24'), { ok: false, aligned: '10.0.3.0/24' });
    for (const text of ['10.0.3.0', '10.0.3.0/33', '10.0.3.0/024', '10.0.3.0/', 'x/24', '10.0.3.0/-1']) {
      assert.deepEqual(parseSubnet(text), { ok: false, aligned: undefined }, text);
    }
  });

  it('overlaps exactly when one holds an end of the other', () => {
    const subnet = fc.tuple(address, fc.integer({ min: 1, max: 32 })).map(([value, prefix]) => {
      const size = 2 ** (32 - prefix);
      return mustParseSubnet(`${formatIpv4(value - (value % size))}/${prefix}`);
    });
    fc.assert(
      fc.property(subnet, subnet, (a, b) => {
        const shares = subnetContains(a, b.first) || subnetContains(b, a.first);
        return subnetsOverlap(a, b) === shares && subnetsOverlap(b, a) === shares;
      }),
    );
  });
});
