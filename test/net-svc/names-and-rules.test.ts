import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  attachmentAlias,
  bridgeAlias,
  bridgeMac,
  hostInterfaceName,
  parseAttachmentAlias,
} from '../../services/net-svc/link-names.ts';
import {
  iptablesOwnLines,
  iptablesReplace,
  iptablesWanted,
  natRules,
  nftReplace,
} from '../../services/net-svc/nat-rules.ts';
import { interfaceName, unicastMac } from '../../shared/schema/names.ts';
import { internal, lab } from './kernel.ts';

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
const linkName = fc.stringMatching(/^[A-Za-z0-9_-]{1,15}$/);

describe('hostInterfaceName', () => {
  it('is a legal interface name of 15 characters, the same every time', () => {
    fc.assert(
      fc.property(name, linkName, (container, link) => {
        const made = hostInterfaceName(container, link);
        assert.ok(interfaceName.safeParse(made).success);
        assert.equal(made.length, 15);
        assert.equal(made, hostInterfaceName(container, link));
      }),
    );
  });

  it('differs for 20,000 interfaces', () => {
    const made = new Set<string>();
    for (let i = 0; i < 20_000; i++) made.add(hostInterfaceName(`container-${i >> 1}`, `eth${i & 1}`));
    assert.equal(made.size, 20_000);
  });
});

describe('attachmentAlias', () => {
  it('is parsed to what it was made of', () => {
    fc.assert(
      fc.property(name, linkName, (container, link) => {
        assert.deepEqual(parseAttachmentAlias(attachmentAlias(container, link)), { container, interface: link });
      }),
    );
  });

  it("is not read out of others' aliases", () => {
    for (const alias of ['', 'uplink', 'berth:', 'berth:a', 'berth:a/b/c', 'berth:../eth0', bridgeAlias('internal')]) {
      assert.equal(parseAttachmentAlias(alias), undefined);
    }
  });
});

describe('bridgeMac', () => {
  it('is unicast and made from the gateway', () => {
    assert.equal(bridgeMac('10.0.5.1'), '02:00:0a:00:05:01');
    assert.ok(unicastMac.safeParse(bridgeMac('255.254.253.252')).success);
  });
});

describe('natRules', () => {
  it('are those of pools with NAT only', () => {
    assert.deepEqual(natRules([internal, lab]), [{ pool: 'internal', subnet: '10.0.5.0/24', bridge: 'pvbr0' }]);
  });

  it('become one nft transaction that replaces the whole table', () => {
    const text = nftReplace(natRules([internal]));
    assert.match(text, /^table ip berth\ndelete table ip berth\ntable ip berth \{/);
    assert.match(text, /ip saddr 10\.0\.5\.0\/24 oifname != "pvbr0" masquerade comment "pool internal"/);
  });

  it('become one iptables transaction that leaves a single jump, however many there were', () => {
    const rules = natRules([internal]);
    const jump = '-A POSTROUTING -j BERTH-NAT';
    const jumps = (present: string[]): string[] =>
      iptablesReplace(rules, present)
        .split('\n')
        .filter((line) => line.includes('-j BERTH-NAT'));
    assert.deepEqual(jumps([]), [jump]);
    assert.deepEqual(jumps([jump]), []);
    assert.deepEqual(jumps([jump, jump, jump]), ['-D POSTROUTING -j BERTH-NAT', '-D POSTROUTING -j BERTH-NAT']);
  });

  it("are told apart from others' lines in what iptables-save prints", () => {
    const own = iptablesWanted(natRules([internal]));
    const saved = ['*nat', ':BERTH-NAT - [0:0]', '-A POSTROUTING -j MASQUERADE', ...own, '-A BERTH-NAT2 -j RETURN'];
    assert.deepEqual(iptablesOwnLines(saved.join('\n')), own);
  });
});
