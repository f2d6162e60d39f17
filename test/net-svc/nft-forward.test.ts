// Forward chains of others in tables of nft's own: what refuses all that it does not name cuts pools off, and is told.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { refusingChains } from '../../services/net-svc/forward-ends.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { clear, makeOutside, namespaces, restart } from './host.ts';
import { internal, lab, leaseOf, pings, reaches, run } from './kernel.ts';
import { FIREWALLD, firewalldTrusts } from './rule-sets.ts';

reexecInNamespaces(import.meta.filename);

beforeEach(clear);

const nft = (rules: string): void => void run(['sh', '-c', 'printf %s "$1" | nft -f -', 'sh', rules]);
const gate = (policy: string, ...rules: string[]): string =>
  `table inet fw { chain gate { type filter hook forward priority 10; policy ${policy}; ${rules.join('; ')}; }; }`;

describe('a forward chain of nft', () => {
  for (const how of ['goto', 'accept'] as const) {
    it(`that is firewalld’s is told with the command that lets the pools through, and no longer behind that (${how})`, async () => {
      const outside = makeOutside();
      nft(FIREWALLD);
      const net = restart();
      await net.configure([internal, lab]);
      attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
      assert.ok(reaches(internal.gateway, namespaces.pathOf('c')));
      assert.ok(!pings(outside, namespaces.pathOf('c')));
      const [reason, ...others] = net.healthReasons();
      assert.deepEqual(others, []);
      assert.deepEqual([reason?.code, reason?.subject], ['FORWARD_DROPPED', 'inet firewalld filter_FORWARD']);
      assert.match(
        reason?.message ?? '',
        /drops by a rule for all what is forwarded: .*10\.0\.5\.0\/24 on pvbr0, 10\.0\.6/,
      );
      assert.match(reason?.message ?? '', /firewall-cmd --permanent --zone=trusted --add-interface=pvbr0/);
      nft(firewalldTrusts(internal.bridge, how));
      await net.repair(new Set(['rules']), assert.fail);
      assert.ok(reaches(outside, namespaces.pathOf('c')));
      const [left] = net.healthReasons();
      assert.doesNotMatch(left?.message ?? '', /pvbr0/);
      assert.match(left?.message ?? '', /--add-interface=pvbr1/);
      nft(firewalldTrusts(lab.bridge, how));
      await net.repair(new Set(['rules']), assert.fail);
      assert.deepEqual(net.healthReasons(), []);
    });
  }

  for (const [what, rules] of [
    [
      'a rule before its policy',
      gate('drop', 'iifname { "docker0", "pvbr0" } oifname "uplink" accept', 'ct state established accept'),
    ],
    [
      'a rule before its last one',
      gate('accept', 'ip saddr 10.0.5.0/24 counter accept', 'ct state established accept', 'log prefix "x " drop'),
    ],
    ['a rule for all', gate('drop', 'counter accept', 'drop')],
    [
      'a rule for a subnet that holds its own',
      gate('drop', 'ip saddr 10.0.0.0/8 accept', 'ct state established accept'),
    ],
    [
      'a named set',
      `table inet fw { set trusted { type ifname; elements = { "docker0", "pvbr0" }; }; }; ${gate('drop', 'iifname @trusted accept', 'ct state established accept')}`,
    ],
    [
      'a named set of ranges',
      `table inet fw { set nets { type ipv4_addr; flags interval; elements = { 10.0.4.0-10.0.5.255 comment "x }" }; }; }; ${gate('drop', 'ip saddr @nets accept', 'ct state established accept')}`,
    ],
    [
      'a set of pairs',
      gate('drop', 'iifname . oifname { "docker0" . "x", "pvbr0" . "uplink" } accept', 'ct state established accept'),
    ],
    [
      'a map',
      gate(
        'accept',
        'ct state vmap { established : accept, invalid : drop }',
        'iifname vmap { "pvbr0" : accept, * : drop }',
      ),
    ],
    [
      'a named map that leads to a chain',
      `table inet fw { chain pools { log accept; }; map zones { type ifname : verdict; elements = { "docker0" : drop, "pvbr0" : jump pools }; }; }; ${gate('drop', 'ct state established accept', 'iifname vmap @zones')}`,
    ],
    ['its policy', gate('accept', 'ct state invalid drop', 'limit rate over 1000/second drop')],
  ] as const) {
    it(`that lets the pool through by ${what} is told of no more than it drops`, async () => {
      const outside = makeOutside();
      nft(rules);
      const net = restart();
      await net.configure([internal]);
      attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
      assert.ok(reaches(outside, namespaces.pathOf('c')));
      assert.deepEqual(net.healthReasons(), []);
    });
  }

  for (const [what, rules] of [
    ['a last rule', gate('accept', 'ct state established accept', 'counter reject with icmpx admin-prohibited')],
    [
      'a rule that logs as well',
      gate('accept', 'log prefix "gone; accept " level info flags all drop comment "accept"'),
    ],
    [
      'a chain that it leads to',
      `table inet fw { chain rest { oifname "x" accept; drop; }; }; ${gate('accept', 'jump rest', 'accept')}`,
    ],
    ['a map that has the rest', gate('accept', 'iifname vmap { "docker0" : accept, * : drop }')],
    [
      'its policy, and sets and maps of others',
      `table inet fw { set some { type ifname; elements = { "docker0" }; }; set none { type ifname; }; map zones { type ifname : verdict; elements = { "pvbr0" : drop, "docker0" : accept }; }; }; ${gate('drop', 'iifname @some accept', 'iifname @none accept', 'iifname . oifname { "pvbr1" . "pvbr0" } accept', 'iifname vmap @zones')}`,
    ],
    [
      'its policy, where another chain lets the pool through to the host itself',
      `${gate('drop')}; table inet fw { chain input { type filter hook input priority 0; policy accept; iifname "pvbr0" accept; }; }`,
    ],
    ['its policy, and a rule for another', gate('drop', 'iifname != "pvbr0" accept', 'iifname "pvbr01" accept')],
  ] as const) {
    it(`that refuses what it does not name is told: by ${what}`, async () => {
      const outside = makeOutside();
      nft(rules);
      const net = restart();
      await net.configure([internal]);
      attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
      assert.ok(reaches(internal.gateway, namespaces.pathOf('c')));
      assert.ok(!pings(outside, namespaces.pathOf('c')));
      assert.deepEqual(
        net.healthReasons().map(({ code, subject }) => `${code} ${subject}`),
        ['FORWARD_DROPPED inet fw gate'],
      );
    });
  }

  it('that has a set which is too long to be read is told with its name', async () => {
    const names = Array.from({ length: 60_000 }, (_, at) => `"vlan${at}"`).join(', ');
    writeFileSync('/run/set.nft', `table inet fw { set long { type ifname; elements = { ${names} }; }; }`);
    run(['nft', '-f', '/run/set.nft']);
    nft(gate('drop', 'iifname @long accept'));
    const net = restart();
    await net.configure([internal]);
    const [reason, ...others] = net.healthReasons();
    assert.deepEqual([reason?.subject, others], ['inet fw gate', []]);
    assert.match(reason?.message ?? '', /unless its long, which nft does not tell, lets the pools through; allow/);
  });

  it('is not asked for the elements of a set by which it lets nobody through, as a list of whom it refuses may be long', () => {
    const [chain] = refusingChains(
      printed(
        'ip saddr @banned drop',
        'ip saddr @worse jump ban',
        'iifname @trusted accept',
        'iifname vmap @zones',
      ).replace(/\}\n$/, '\tchain ban {\n\t\tdrop\n\t}\n\tmap zones {\n\t}\n}\n'),
    );
    assert.deepEqual(chain?.asks, [
      { kind: 'set', name: 'trusted' },
      { kind: 'map', name: 'zones' },
    ]);
  });

  it('that is the second one of iptables’ own table is told, although rules of ours let the pool through the first', async () => {
    const outside = makeOutside();
    run(['iptables', '-P', 'FORWARD', 'DROP']);
    nft('table ip filter { chain second { type filter hook forward priority 10; policy drop; }; }');
    const net = restart();
    await net.configure([internal]);
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    assert.ok(reaches(internal.gateway, namespaces.pathOf('c')));
    assert.ok(!pings(outside, namespaces.pathOf('c')));
    const [first, second, ...others] = net.healthReasons();
    assert.deepEqual([first?.subject, second?.subject, others], ['ip filter FORWARD', 'ip filter second', []]);
    assert.match(second?.message ?? '', /another chain cannot override it; allow 10\.0\.5\.0\/24 on pvbr0 there/);
    nft('add rule ip filter second accept');
    await net.repair(new Set(['rules']), assert.fail);
    assert.deepEqual(
      net.healthReasons().map(({ subject }) => subject),
      ['ip filter FORWARD'],
    );
    assert.ok(reaches(outside, namespaces.pathOf('c')));
  });

  const listed = (): string => run(['nft', '-s', '-t', 'list', 'table', 'inet', 'fw']);

  for (const [what, rules] of [
    ['returns before it', `table inet fw { chain rest { return; drop; }; }; ${gate('accept', 'jump rest')}`],
    ['goes elsewhere for good', `table inet fw { chain rest { accept; }; }; ${gate('drop', 'goto rest', 'drop')}`],
    [
      'ends elsewhere, and goes by its policy then',
      `table inet fw { chain rest { oifname "x" drop; }; }; ${gate('accept', 'goto rest', 'drop')}`,
    ],
  ] as const) {
    it(`that has a rule which refuses all refuses nothing where it ${what}`, () => {
      nft(rules);
      assert.deepEqual(refusingChains(listed()), []);
    });
  }

  /** `nft` of other versions breaks long sets into lines, and not every kernel has queues. */
  const printed = (...rules: string[]): string =>
    [
      'table inet fw {',
      '\tchain gate {',
      '\t\ttype filter hook forward priority filter + 10; policy drop;',
      ...rules.map((rule) => `\t\t${rule}`),
      '\t}',
      '}',
      '',
    ].join('\n');

  it('refuses nothing that it leaves to a program before', () => {
    assert.deepEqual(refusingChains(printed('queue to 0', 'drop')), []);
    assert.equal(refusingChains(printed('tcp dport 80 queue to 0', 'drop')).length, 1);
  });

  it('is read also where its sets take several lines', () => {
    const [chain] = refusingChains(printed('ip saddr { 10.0.0.0/16, 10.2.0.0/16,', '\t     10.4.0.0/16 } accept'));
    assert.ok(chain?.lets({ ...internal, subnet: '10.4.0.0/16' }));
    assert.ok(!chain?.lets({ ...internal, subnet: '10.6.0.0/16' }));
  });

  it('is read also where it has ranges, which let a pool through where they hold all of it', () => {
    const [chain] = refusingChains(printed('ip saddr { 10.4.0.0-10.5.255.255, 10.7.0.0-10.7.0.9 } accept'));
    const letsThrough = (subnet: string): boolean | undefined => chain?.lets({ ...internal, subnet });
    assert.deepEqual(['10.5.0.0/16', '10.4.0.0/15', '10.6.0.0/16', '10.7.0.0/16'].map(letsThrough), [
      true,
      true,
      false,
      false,
    ]);
  });

  it('is read also where it has a comment, and its names are many or stand for many', () => {
    const names = Array.from({ length: 30 }, (_, at) => `"pvbr${at}"`).join(', ');
    nft(gate('drop', 'comment "of theirs"', `iifname { ${names} } accept`, 'iifname "lab*" accept'));
    const [chain, ...others] = refusingChains(listed());
    assert.deepEqual([chain?.name, chain?.by, others], ['inet fw gate', 'policy', []]);
    for (const [bridge, isLet] of [
      ['pvbr29', true],
      ['pvbr30', false],
      ['lab7', true],
      ['la', false],
    ] as const)
      assert.equal(chain?.lets({ ...internal, bridge }), isLet, bridge);
  });
});
