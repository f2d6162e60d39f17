// The network block: both spellings, statics, MACs, and what containers bake into their own LXC configuration.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { parseState } from '../../shared/revision/validate.ts';
import { container, POOL, parse, problems, revisionOf, state, warnings } from './states.ts';

const net = (name: string, network: unknown) => container(name, { network });
const one = (network: unknown) => problems(state(net('a', network)));
const interfacesOf = (network: unknown): unknown => {
  const plan = revisionOf(state(net('a', network))).containers[0]?.network;
  return plan?.mode === 'pool' ? plan.interfaces : plan?.mode;
};

describe('revision.network', () => {
  it('reads both spellings', () => {
    const wanted = [{ interface: 'eth0', pool: 'internal', address: '10.0.5.50', mac: '02:11:22:33:44:5a' }];
    assert.deepEqual(interfacesOf({ pool: 'internal', ip: '10.0.5.50', mac: '02:11:22:33:44:5A' }), wanted);
    const each = { pool: 'internal', ipv4_address: '10.0.5.50', mac_address: '02:11:22:33:44:5a' };
    assert.deepEqual(interfacesOf({ mode: 'pool', interfaces: [each] }), wanted);
    assert.deepEqual(interfacesOf({ pool: 'lab', interfaces: [{}, { name: 'up', pool: 'internal' }] }), [
      { interface: 'eth0', pool: 'lab', address: undefined, mac: undefined },
      { interface: 'up', pool: 'internal', address: undefined, mac: undefined },
    ]);
  });

  it('takes an address with the prefix of its pool, and names that for another', () => {
    const wanted = [{ interface: 'eth0', pool: 'internal', address: '10.0.5.50', mac: '02:00:0a:00:05:32' }];
    const each = { ipv4_address: '10.0.5.50/24', mac_address: '02:00:0a:00:05:32' };
    assert.deepEqual(interfacesOf({ pool: 'internal', interfaces: [each] }), wanted);
    assert.deepEqual(interfacesOf({ pool: 'internal', ip: each.ipv4_address, mac: each.mac_address }), wanted);
    const parsed = parse(state(net('a', { pool: 'internal', ip: '10.0.5.50/16' })));
    assert.match(parsed.ok ? '' : (parsed.problems[0]?.message ?? ''), /10\.0\.5\.0\/24.*; write 10\.0\.5\.50\/24$/);
  });

  it('reads the modes without a pool', () => {
    assert.equal(interfacesOf({ mode: 'host' }), 'host');
    assert.equal(interfacesOf({ mode: 'none' }), 'none');
    assert.equal(interfacesOf(undefined), 'legacy');
    assert.equal(interfacesOf({ hostname: 'x' }), 'legacy');
  });

  it('takes host names with underscores, as Linux does', () => {
    const hostnameOf = (hostname: string) =>
      revisionOf(state(net('a', { pool: 'lab', hostname }))).containers[0]?.hostname;
    for (const name of ['my_app', '_app', 'app_', 'my_app.local']) assert.equal(hostnameOf(name), name);
    // Whoever sets it takes it as well.
    const { params } = lxcContract.requests.start;
    const start = (hostname: string) =>
      params.safeParse({ container: 'a', hostname, network: { kind: 'host' }, roles: [] });
    for (const name of ['my_app', '_app', 'app_', 'a']) assert.deepEqual(start(name).error?.issues ?? [], []);
    const named = revisionOf(state(net('my_app', { pool: 'lab' }))).containers[0];
    assert.equal(named?.hostname, 'my-app', 'as far as it is Berth that names it');
  });

  it('warns of a baked bridge that no pool has, where the machine is not known to have it', () => {
    const baked = (link: string, device: object = {}) => {
      const files: Record<string, string> = {
        'a/lxc.container.conf': `lxc.net.0.type = veth\nlxc.net.0.link = ${link}\n`,
      };
      return { document: state({ ...container('a'), 'device.json': device }), files };
    };
    const told = ({ document, files }: ReturnType<typeof baked>, hasLink?: (name: string) => boolean) => {
      const parsed = parseState(document, (path) => files[path] ?? '', hasLink);
      assert.ok(parsed.ok);
      return parsed.warnings;
    };
    const [warning, ...others] = told(baked('lxcbr0'));
    assert.deepEqual([warning?.path, warning?.code, others], ['a/lxc.container.conf:2', 'LINK_IN_NO_POOL', []]);
    const pool = /add to network\.pools of device\.json "pvcnet": (\{.*\})$/.exec(warning?.message ?? '')?.[1] ?? '';
    const pools = { pvcnet: JSON.parse(pool) };
    assert.deepEqual(told(baked('lxcbr0', { network: { pools } })), []);
    assert.match(told(baked('br0'))[0]?.message ?? '', /a pool with "bridge": "br0" and/);
    assert.deepEqual(
      told(baked('br0'), (name) => name === 'br0'),
      [],
    );
    assert.equal(told(baked('br0'), (name) => name === 'br1').length, 1);
    // It is a bridge of nobody's, whose name is a link of the device's.
    const macvlan = { up: { type: 'macvlan', parent: 'br0', subnet: '10.0.5.0/24', gateway: '10.0.5.1' } };
    assert.equal(told(baked('br0', { network: { pools: macvlan } })).length, 1);
  });

  it('offers only addresses that a container may have', () => {
    const offer = (subnet: string, gateway: string): string | undefined => {
      const device = { network: { pools: { p: { bridge: 'br0', subnet, gateway } } } };
      const parsed = parse(state({ ...net('a', { pool: 'p', ip: '1.2.3.4' }), 'device.json': device }));
      const outside = parsed.ok ? undefined : parsed.problems.find(({ code }) => code === 'ADDRESS_OUTSIDE');
      return outside?.message.split('take one of ')[1];
    };
    assert.equal(offer('10.0.5.0/24', '10.0.5.1'), '10.0.5.2–10.0.5.254');
    assert.equal(offer('10.0.5.0/24', '10.0.5.254'), '10.0.5.1–10.0.5.253');
    assert.equal(offer('10.0.5.0/24', '10.0.5.9'), '10.0.5.1–10.0.5.254 but 10.0.5.9');
    assert.equal(offer('10.0.5.0/30', '10.0.5.1'), '10.0.5.2');
  });

  const REFUSED: readonly (readonly [string, unknown, string])[] = [
    ['an unknown pool', { pool: 'does-not-exist' }, 'network.pool UNKNOWN_POOL'],
    ['an unknown pool of an interface', { interfaces: [{ pool: 'x' }] }, 'network.interfaces.0.pool UNKNOWN_POOL'],
    ['mode pool without a pool', { mode: 'pool' }, 'network.pool POOL_MISSING'],
    ['an interface without a pool', { interfaces: [{}] }, 'network.interfaces.0.pool POOL_MISSING'],
    ['no interface', { interfaces: [] }, 'network.interfaces NO_INTERFACE'],
    ['both spellings', { ip: '10.0.5.9', interfaces: [{ pool: 'lab' }] }, 'network NETWORK_BOTH_FORMS'],
    ['a pool in mode host', { mode: 'host', pool: 'lab' }, 'network.mode NETWORK_MODE'],
    ['an address in mode none', { mode: 'none', ip: '10.0.5.9' }, 'network.mode NETWORK_MODE'],
    ['an address without a pool', { ip: '10.0.5.9' }, 'network.ip NETWORK_MODE'],
    ['another mode', { mode: 'bridge', pool: 'lab' }, 'network.mode BAD_VALUE'],
    ['an address outside', { pool: 'internal', ip: '192.168.99.100' }, 'network.ip ADDRESS_OUTSIDE'],
    ['the gateway', { pool: 'internal', ip: '10.0.5.1' }, 'network.ip ADDRESS_UNUSABLE'],
    ['the network address', { pool: 'internal', ip: '10.0.5.0' }, 'network.ip ADDRESS_UNUSABLE'],
    ['the broadcast address', { pool: 'internal', ip: '10.0.5.255' }, 'network.ip ADDRESS_UNUSABLE'],
    ['another prefix', { pool: 'internal', ip: '10.0.5.9/16' }, 'network.ip ADDRESS_PREFIX'],
    ['half a prefix', { pool: 'internal', ip: '10.0.5.9/' }, 'network.ip ADDRESS_PREFIX'],
    ['two prefixes', { pool: 'internal', ip: '10.0.5.9/24/24' }, 'network.ip ADDRESS_PREFIX'],
    ['a prefix outside', { pool: 'internal', ip: '192.168.99.100/16' }, 'network.ip ADDRESS_OUTSIDE'],
    ['an octal address', { pool: 'internal', ip: '10.0.5.09' }, 'network.ip BAD_ADDRESS'],
    ['a number for an address', { pool: 'internal', ip: 9 }, 'network.ip BAD_TYPE'],
    ['a multicast MAC', { pool: 'internal', mac: '03:00:00:00:00:01' }, 'network.mac BAD_MAC'],
    ['a MAC of zeros', { pool: 'internal', mac: '00:00:00:00:00:00' }, 'network.mac BAD_MAC'],
    ['half a MAC', { pool: 'internal', mac: '02:00:00' }, 'network.mac BAD_MAC'],
    ['the MAC of an address', { pool: 'internal', mac: '02:00:0A:00:05:07' }, 'network.mac MAC_DERIVED'],
    ['a bad interface name', { interfaces: [{ pool: 'lab', name: 'a b' }] }, 'network.interfaces.0.name BAD_INTERFACE'],
    ['the loopback', { interfaces: [{ pool: 'lab', name: 'lo' }] }, 'network.interfaces.0.name BAD_INTERFACE'],
    ['a host name with a space', { pool: 'lab', hostname: 'a b' }, 'network.hostname BAD_VALUE'],
    ['a host name with an empty label', { pool: 'lab', hostname: 'a..b' }, 'network.hostname BAD_VALUE'],
    ['a host name of 65', { pool: 'lab', hostname: 'x'.repeat(65) }, 'network.hostname BAD_VALUE'],
  ];
  for (const [name, network, problem] of REFUSED) {
    it(`refuses ${name}`, () => assert.deepEqual(one(network), [`a/run.json.${problem}`]));
  }

  it('refuses an interface’s name twice', () => {
    const twice = { pool: 'lab', interfaces: [{ name: 'x' }, { name: 'x' }] };
    assert.deepEqual(one(twice), ['a/run.json.network.interfaces.1.name DUPLICATE_INTERFACE']);
  });

  it('says the line that people grep for', () => {
    const parsed = parse(state(net('ipam-nopool', { pool: 'does-not-exist' })));
    const [problem] = parsed.ok ? [] : parsed.problems;
    assert.match(problem?.message ?? '', /references unknown pool 'does-not-exist', refusing to start/);
  });

  it('does not call a pool unknown that is only broken', () => {
    const device = {
      'device.json': {
        network: { pools: { x: { type: 'macvlan', parent: 'eth0', subnet: 'y', gateway: '10.1.0.1' } } },
      },
    };
    const found = problems(state(device, net('a', { pool: 'x' })));
    assert.deepEqual(found, ['device.json.network.pools.x.subnet BAD_SUBNET']);
  });

  it('lets an interface set the MAC that its own address turns into', () => {
    assert.deepEqual(one({ pool: 'internal', ip: '10.0.5.7', mac: '02:00:0a:00:05:07' }), []);
    assert.deepEqual(one({ pool: 'lab', mac: '02:00:0a:00:05:07' }), []);
  });

  it('gives an address and a MAC to one container only, at the path of the later one', () => {
    const same = { pool: 'internal', ip: '10.0.5.9', mac: '02:11:00:00:00:01' };
    const long = { interfaces: [{ pool: 'internal', ipv4_address: '10.0.5.9', mac_address: '02:11:00:00:00:01' }] };
    assert.deepEqual(problems(state(net('a', same), net('b', long))), [
      'b/run.json.network.interfaces.0.ipv4_address ADDRESS_CONFLICT',
      'b/run.json.network.interfaces.0.mac_address MAC_CONFLICT',
    ]);
    // Also when the group of one of them is wrong, and not in another pool.
    const lost = container('b', { group: 'nope', network: same });
    assert.deepEqual(problems(state(net('a', same), lost)), [
      'b/run.json.group UNKNOWN_GROUP',
      'b/run.json.network.ip ADDRESS_CONFLICT',
      'b/run.json.network.mac MAC_CONFLICT',
    ]);
    assert.deepEqual(
      problems(state(net('a', { ...same, ip: undefined }), net('b', { pool: 'lab', mac: same.mac }))),
      [],
    );
  });

  it('reserves statics of all containers', () => {
    const { reservations } = revisionOf(
      state(net('a', { pool: 'internal', ip: '10.0.5.9' }), net('b', { pool: 'lab' })),
    );
    assert.deepEqual(reservations, [
      { pool: 'internal', container: 'a', interface: 'eth0', address: '10.0.5.9', kind: 'static' },
    ]);
  });
});

describe('revision.legacy', () => {
  const CONF = 'a/lxc.container.conf';
  const veth = (address: string, link = 'lxcbr0') =>
    `lxc.net.0.type = veth\nlxc.net.0.link = ${link}\nlxc.net.0.ipv4.address = ${address}\n`;
  const legacyOf = (text: string) => revisionOf(state(container('a')), { [CONF]: text }).reservations;

  it('refuses a pool beside baked lines, and names each line to remove', () => {
    const parsed = parse(state(net('a', { pool: 'internal' })), { [CONF]: `# mine\n${veth('10.0.5.9/24')}` });
    assert.deepEqual(parsed.ok ? [] : parsed.problems.map(({ path, code }) => `${path} ${code}`), [
      `${CONF}:2 POOL_AND_BAKED`,
      `${CONF}:3 POOL_AND_BAKED`,
      `${CONF}:4 POOL_AND_BAKED`,
    ]);
    const [problem] = parsed.ok ? [] : parsed.problems;
    assert.match(problem?.message ?? '', /remove the line "lxc\.net\.0\.type = veth"/);
  });

  it('does not mind namespaces that a pool’s container keeps', () => {
    const files = { [CONF]: 'lxc.namespace.keep = user net ipc\n' };
    assert.deepEqual(problems(state(net('a', { pool: 'internal' })), files), []);
  });

  it('reserves baked addresses in the pool that has them', () => {
    assert.deepEqual(legacyOf(veth('10.0.5.9/24')), [
      { pool: 'internal', container: 'a', interface: 'net0', address: '10.0.5.9', kind: 'legacy' },
    ]);
    assert.deepEqual(legacyOf('lxc.net.0.ipv4.address = dhcp\n#lxc.net.1.ipv4.address = 10.0.5.9\n'), []);
  });

  it('reads includes of the container’s own files', () => {
    const document = state(container('a'), { 'a/net.conf': 'b'.repeat(64) });
    const files = { [CONF]: 'lxc.include = net.conf\n', 'a/net.conf': `\n${veth('10.0.6.9/24')}` };
    assert.deepEqual(
      revisionOf(document, files).reservations.map(({ pool, address }) => [pool, address]),
      [['lab', '10.0.6.9']],
    );
    assert.deepEqual(problems(state(container('a')), { [CONF]: 'lxc.include = /usr/share/lxc.conf\n' }), [
      `${CONF}:1 BAD_CONFIG`,
    ]);
  });

  it('lists addresses in no pool without reserving them', () => {
    const { reservations, ignored } = revisionOf(state(container('a')), { [CONF]: veth('172.16.0.2/24') });
    assert.deepEqual(reservations, []);
    assert.deepEqual(ignored, [`${CONF}:3 (172.16.0.2 is in no pool)`]);
  });

  it('warns of addresses that no pool would give', () => {
    for (const [address, code] of [
      ['10.0.5.1', 'LEGACY_IS_GATEWAY'],
      ['10.0.5.0', 'LEGACY_UNUSABLE'],
      ['10.0.5.255', 'LEGACY_UNUSABLE'],
    ] as const) {
      assert.deepEqual(warnings(state(container('a')), { [CONF]: veth(`${address}/24`, POOL.bridge) }), [
        `${CONF}:3 ${code}`,
      ]);
      assert.deepEqual(legacyOf(veth(`${address}/24`)), []);
    }
  });

  it('refuses one address for two legacy containers, in a pool and on one bridge outside', () => {
    const two = state(container('a'), container('b'));
    const both = (a: string, b: string) => ({ [CONF]: a, 'b/lxc.container.conf': b });
    const conflict = ['b/lxc.container.conf:3 ADDRESS_CONFLICT'];
    assert.deepEqual(problems(two, both(veth('10.0.5.9/24'), veth('10.0.5.9/24'))), conflict);
    assert.deepEqual(problems(two, both(veth('172.16.0.2/24'), veth('172.16.0.2/24'))), conflict);
    assert.deepEqual(problems(two, both(veth('172.16.0.2/24'), veth('172.16.0.2/24', 'br7'))), []);
  });

  it('refuses a legacy address that another container has asked for', () => {
    const document = state(net('b', { pool: 'internal', ip: '10.0.5.9' }), container('a'));
    assert.deepEqual(problems(document, { [CONF]: veth('10.0.5.9/24') }), [`${CONF}:3 ADDRESS_CONFLICT`]);
  });
});
