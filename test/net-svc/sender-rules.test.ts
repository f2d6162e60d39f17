import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { hostInterfaceName } from '../../services/net-svc/link-names.ts';
import { isAllFrom } from '../../services/net-svc/netlink-message.ts';
import { elementKey } from '../../services/net-svc/nft-elements.ts';
import { comparableTable, senderElements, senderTable } from '../../services/net-svc/sender-rules.ts';
import type { Lease } from '../../shared/schema/network.ts';

const lease = (container: string, host: number, name = 'eth0'): Lease => ({
  pool: 'internal',
  container,
  interface: name,
  address: `10.0.5.${host}`,
  prefixLength: 24,
  gateway: '10.0.5.1',
  bridge: 'pvbr0',
  mac: `02:00:0a:00:05:${host.toString(16).padStart(2, '0')}`,
});

const isPort = ({ pool }: Lease): boolean => pool !== 'lan';
/** Of containers with one interface each. */
const tableOf = (leases: readonly Lease[]): string =>
  senderTable(leases.flatMap((each) => senderElements([each], isPort)));

describe('net sender rules', () => {
  it('are the same table in whatever order and shape nft lists the elements, and another for any other lease', () => {
    const hosts = fc.uniqueArray(fc.integer({ min: 2, max: 40 }), { maxLength: 8 });
    fc.assert(
      fc.property(hosts, fc.nat(), (list, seed) => {
        const leases = list.map((host) => lease(`c${host}`, host));
        const table = tableOf(leases);
        const turned = tableOf([...leases.slice(seed % 8), ...leases.slice(0, seed % 8)]);
        assert.equal(comparableTable(turned), comparableTable(table));
        assert.equal(
          comparableTable(table.replaceAll(', ', ',\n\t\t\t     ').replaceAll('\t}\n', '\t}\n\n')),
          comparableTable(table),
        );
        assert.notEqual(comparableTable(tableOf([...leases, lease('other', 99)])), comparableTable(table));
        assert.notEqual(comparableTable(table.replace('counter drop', 'accept')), comparableTable(table));
      }),
    );
  });

  it('let each port pass all addresses of its container with its own MAC, those of a macvlan too', () => {
    const leases = [lease('web', 7), lease('web', 8, 'eth1'), { ...lease('web', 9, 'lan0'), pool: 'lan' }];
    const elements = senderElements(leases, isPort);
    const sendersOf = (host: number, name: string): string[] =>
      elements.flatMap(({ set, port, mac, address = '' }) =>
        set === 'senders' && port === hostInterfaceName('web', name) && mac === lease('web', host).mac ? [address] : [],
      );
    for (const senders of [sendersOf(7, 'eth0'), sendersOf(8, 'eth1')]) {
      assert.deepEqual(senders, ['10.0.5.7', '10.0.5.8', '10.0.5.9', '0.0.0.0']);
    }
    assert.deepEqual(
      elements.filter(({ set }) => set === 'links' || set === 'ports').map(({ set }) => set),
      ['links', 'links', 'ports', 'ports'],
    );
    const ownOf = (name: string): number =>
      elements.filter(({ set, port }) => set === 'own' && port === hostInterfaceName('web', name)).length;
    assert.deepEqual([ownOf('eth0'), ownOf('eth1'), ownOf('lan0')], [3, 3, 0]);
    assert.deepEqual(senderElements(leases.slice(2), isPort), []);
  });

  it('are keys of 8, 16, 24 and 28 bytes, as the kernel pads them', () => {
    const port = Buffer.from(hostInterfaceName('web', 'eth0').padEnd(16, '\0')).toString('hex');
    const keys = senderElements([lease('web', 7)], isPort).map((element) => [
      element.set,
      elementKey(element).toString('hex'),
    ]);
    assert.deepEqual(keys, [
      ['links', `${port}02000a0005070000`],
      ['senders', `${port}02000a00050700000a000507`],
      ['senders', `${port}02000a000507000000000000`],
      ['own', `${port}00000afffe000507`],
      ['identifiers', '00000afffe000507'],
      ['ports', port],
    ]);
  });
});

describe('net own messages', () => {
  it('are those of one port only, and nothing that is cut', () => {
    const message = (port: number): Buffer => {
      const bytes = Buffer.alloc(20);
      bytes.writeUInt32LE(20, 0);
      bytes.writeUInt32LE(port, 12);
      return bytes;
    };
    assert.ok(isAllFrom(7, Buffer.concat([message(7), message(7)])));
    assert.ok(!isAllFrom(7, Buffer.concat([message(7), message(8)])));
    assert.ok(!isAllFrom(7, message(7).subarray(0, 10)));
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void isAllFrom(7, Buffer.from(bytes))));
  });
});
