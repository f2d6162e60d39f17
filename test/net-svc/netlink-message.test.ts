import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Attribute,
  decodeAttributes,
  decodeMessages,
  decodeOutcome,
  encodeAttributes,
  encodeMessage,
  MalformedMessage,
  NLM_F_REQUEST,
  nested,
  text,
} from '../../services/net-svc/netlink-message.ts';
import {
  broadcastOf,
  decodeAddress,
  decodeDefaultRoute,
  decodeLinkLocal,
} from '../../services/net-svc/rtnetlink-address.ts';
import {
  AF_INET6,
  IFLA_AF_SPEC,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  IN6_ADDR_GEN_MODE_NONE,
} from '../../services/net-svc/rtnetlink-codes.ts';
import { decodeLink, markPortByName } from '../../services/net-svc/rtnetlink-link.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

describe('netlink messages', () => {
  it('are decoded to what was encoded', () => {
    const message = fc.record({
      type: fc.nat(0xffff),
      flags: fc.nat(0xffff),
      payload: bytes(200),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
        const datagram = Buffer.concat(messages.map((each, index) => encodeMessage(each, index + 1)));
        assert.deepEqual(
          decodeMessages(datagram),
          messages.map((each, index) => ({ ...each, flags: each.flags | NLM_F_REQUEST, sequence: index + 1 })),
        );
      }),
    );
  });

  it('are refused as malformed, never read beyond their end, when the bytes are arbitrary', () => {
    const decoders = [decodeMessages, decodeAttributes, decodeLink, decodeAddress, decodeLinkLocal, decodeDefaultRoute];
    fc.assert(
      fc.property(bytes(300), fc.constantFrom(...decoders), (arbitrary, decode) => {
        try {
          decode(arbitrary);
        } catch (error) {
          assert.ok(error instanceof MalformedMessage, String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('carry attributes by type, whatever their flags', () => {
    const attributes = fc.uniqueArray(fc.record({ type: fc.nat(0x3fff), value: bytes(50) }), {
      selector: ({ type }) => type,
    });
    fc.assert(
      fc.property(attributes, fc.constantFrom(0, 0x8000, 0x4000), (list, flag) => {
        const encoded = encodeAttributes(list.map(({ type, value }) => ({ type: type | flag, value })));
        assert.deepEqual(decodeAttributes(encoded), new Map(list.map(({ type, value }) => [type, value])));
        const wanted = list.filter((_, index) => index % 2 === 0);
        assert.deepEqual(
          decodeAttributes(encoded, new Set(wanted.map(({ type }) => type))),
          new Map(wanted.map(({ type, value }) => [type, value])),
        );
      }),
    );
  });
});

describe('decodeOutcome', () => {
  it('reads errno and the extended acknowledgement behind a capped request', () => {
    const payload = Buffer.concat([
      Buffer.from([0xef, 0xff, 0xff, 0xff]), // -17
      Buffer.alloc(16),
      encodeAttributes([{ type: 1, value: Buffer.from('Why\0') }]),
    ]);
    assert.deepEqual(decodeOutcome({ type: 2, flags: 0x300, sequence: 1, payload }), {
      errno: 17,
      explanation: 'Why',
    });
  });

  it('finds the explanation behind a request that is echoed whole', () => {
    const request = encodeMessage({ type: 16, flags: 0, payload: Buffer.alloc(5) }, 1);
    const payload = Buffer.concat([
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      request,
      encodeAttributes([{ type: 1, value: Buffer.from('Why\0') }]),
    ]);
    assert.deepEqual(decodeOutcome({ type: 2, flags: 0x200, sequence: 1, payload }), { errno: 1, explanation: 'Why' });
  });
});

describe('the mark of a port', () => {
  it('says nothing of IPv6 to a kernel without it, which would refuse the mark as well', () => {
    const typesOf = (hasIpv6: boolean) =>
      [...decodeAttributes(markPortByName('veth', 'berth:web/eth0', hasIpv6).payload.subarray(16)).keys()].sort();
    assert.deepEqual(typesOf(false), [IFLA_IFALIAS, IFLA_IFNAME].sort());
    assert.deepEqual(typesOf(true), [IFLA_AF_SPEC, IFLA_IFALIAS, IFLA_IFNAME].sort());
  });
});

describe('broadcastOf', () => {
  it('is the last address of the subnet', () => {
    assert.equal(broadcastOf({ address: '10.0.5.2', prefixLength: 24 }), '10.0.5.255');
    assert.equal(broadcastOf({ address: '10.0.5.2', prefixLength: 30 }), '10.0.5.3');
    assert.equal(broadcastOf({ address: '200.1.2.3', prefixLength: 8 }), '200.255.255.255');
  });
});

describe('decodeLink', () => {
  it('says of a bridge that it makes an IPv6 address where the kernel has IPv6 and was not told otherwise', () => {
    const makes = (...families: readonly Attribute[]): boolean => {
      const kind = nested(IFLA_LINKINFO, [text(IFLA_INFO_KIND, 'bridge')]);
      return decodeLink(Buffer.concat([Buffer.alloc(16), encodeAttributes([kind, ...families])])).makesIpv6Address;
    };
    const mode = (value: number): Attribute =>
      nested(IFLA_AF_SPEC, [nested(AF_INET6, [{ type: IFLA_INET6_ADDR_GEN_MODE, value: Buffer.of(value) }])]);
    assert.deepEqual([makes(mode(0)), makes(mode(IN6_ADDR_GEN_MODE_NONE))], [true, false]);
    assert.deepEqual([makes(), makes(nested(IFLA_AF_SPEC, []))], [false, false]);
  });
});
