import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
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

describe('net sender rules', () => {
  it('are the same table in whatever order and shape nft lists the elements, and another for any other lease', () => {
    const hosts = fc.uniqueArray(fc.integer({ min: 2, max: 40 }), { maxLength: 8 });
    fc.assert(
      fc.property(hosts, fc.nat(), (list, seed) => {
        const leases = list.map((host) => lease(`c${host}`, host));
        const table = senderTable(leases);
        const turned = senderTable([...leases.slice(seed % 8), ...leases.slice(0, seed % 8)]);
        assert.equal(comparableTable(turned), comparableTable(table));
        assert.equal(
          comparableTable(table.replaceAll(', ', ',\n\t\t\t     ').replaceAll('\t}\n', '\t}\n\n')),
          comparableTable(table),
        );
        assert.notEqual(comparableTable(senderTable([...leases, lease('other', 99)])), comparableTable(table));
        assert.notEqual(comparableTable(table.replace('counter drop', 'accept')), comparableTable(table));
      }),
    );
  });

  it('are keys of 16, 24 and 28 bytes, as the kernel pads them', () => {
    const keys = senderElements(lease('web', 7)).map((element) => [
      element.set,
      elementKey(element).toString('hex').slice(32),
    ]);
    assert.deepEqual(keys, [
      ['links', '02000a0005070000'],
      ['senders', '02000a0005070000' + '0a000507'],
      ['senders', '02000a0005070000' + '00000000'],
      ['ports', ''],
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
