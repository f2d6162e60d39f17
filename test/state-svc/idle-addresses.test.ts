// Addresses that device-meta tells of a bridge without ports, on one of the kernel's own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import { createOwnMetadata } from '../../services/state-svc/device-readings.ts';
import { addressesIn, connectedNetworks } from '../../services/state-svc/idle-addresses.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

const route = (link: string, destination: string, gateway: string, flags: string, mask: string): string =>
  [link, destination, gateway, flags, '0', '0', '0', mask, '0', '0', '0'].join('\t');
const ROUTES = [
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
  route('eth0', '00000000', '010200C0', '0003', '00000000'),
  route('eth0', '000200C0', '00000000', '0001', '00FFFFFF'),
  route('pvbr0', '0005000A', '00000000', '0001', '00FFFFFF'),
  route('pvbr1', '000000C0', '00000000', '0001', '000000FF'),
  route('pvbr1', '0000FFC0', '0105000A', '0003', '0000FFFF'),
  '',
].join('\n');
const TRIE = `Main:
  +-- 10.0.5.0/24 2 0 2
     |-- 10.0.5.0
        /24 link UNICAST
     |-- 10.0.5.1
        /32 host LOCAL
     |-- 10.0.5.255
        /32 link BROADCAST
  |-- 192.0.2.2
     /32 host LOCAL
  |-- 192.200.0.1
     /32 link UNICAST
     /32 host LOCAL
Local:
  |-- 10.0.5.1
     /32 host LOCAL
`;

describe('addresses of interfaces that carry nothing', () => {
  it('are those of the machine, each in the smallest network that the kernel connects an interface to', () => {
    const found = addressesIn(connectedNetworks(ROUTES, 'LE'), TRIE);
    assert.deepEqual(Object.fromEntries([...found].map(([link, its]) => [link, [...its]])), {
      eth0: ['192.0.2.2'],
      pvbr0: ['10.0.5.1'],
      pvbr1: ['192.200.0.1'],
    });
  });

  it('are of no interface where only a default route or an unreachable one has them, and those of the loopback never', () => {
    const others = [
      route('tun0', '00000000', '00000000', '0001', '00000000'),
      route('wg0', '00000000', '00000000', '0001', '00000080'),
      route('*', '000000C0', '00000000', '0201', '000000FF'),
    ].join('\n');
    const trie = ['127.0.0.1', '192.0.2.2'].map((address) => `|-- ${address}\n/32 host LOCAL\n`).join('');
    assert.deepEqual([...addressesIn(connectedNetworks(`\n${others}`, 'LE'), trie)], []);
  });

  it('are read on machines of either endianness, and not at all where nothing can be read', () => {
    const routes = [ROUTES.split('\n')[0], route('pvbr0', '0A000500', '00000000', '0001', 'FFFFFF00')].join('\n');
    const networks = connectedNetworks(routes, 'BE');
    assert.deepEqual(networks, [{ link: 'pvbr0', base: 0x0a000500, mask: 0xffffff00 }]);
    assert.deepEqual(connectedNetworks('', 'LE'), []);
    assert.equal(addressesIn(networks, '').size, 0);
  });

  it('are in device-meta', async () => {
    const ip = (words: string): unknown => execFileSync('ip', words.split(' '));
    ip('link add idle0 address 02:00:0a:00:05:01 type bridge');
    ip('addr add 10.0.5.1/24 dev idle0');
    ip('link set idle0 up');
    // A bridge that had a port is without a carrier from then on.
    ip('link add port0 type veth peer name port1');
    ip('link set port0 master idle0');
    for (const end of ['port0', 'port1']) ip(`link set ${end} up`);
    await eventually('it carries', PATIENCE_MS, () => /LOWER_UP/.test(String(ip('link show idle0'))));
    ip('link del port0');
    await eventually('it is idle', PATIENCE_MS, () => networkInterfaces().idle0 === undefined);
    const own = createOwnMetadata({
      storage: '/',
      reservedPercent: () => 5,
      revisionStatus: () => ({ revision: undefined, status: undefined }),
    });
    const told = JSON.parse(own.entries().get('interfaces') ?? '');
    assert.deepEqual(told['idle0.ipv4'], ['10.0.5.1']);
    assert.deepEqual(told['idle0.mac'], ['02:00:0a:00:05:01']);
    assert.deepEqual(told['lo.ipv4'], ['127.0.0.1']);
  });
});
