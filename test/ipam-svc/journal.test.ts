import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type Entry, encodeLine, UnknownJournalVersion } from '../../services/ipam-svc/journal-format.ts';
import { type Scan, type ScanItem, scanJournal } from '../../services/ipam-svc/journal-scan.ts';
import { mustParseIpv4, parseIpv4 } from '../../shared/ipv4/address.ts';
import { containerName, interfaceName, poolName, unicastMac } from '../../shared/schema/names.ts';
import { INTERNAL, reserve } from './kit.ts';

const key = (container: string) => ({ pool: 'internal', container, interface: 'eth0' });
const lease = (container: string, address: string): Extract<Entry, { op: 'lease' }> => ({
  op: 'lease',
  ...key(container),
  address: mustParseIpv4(address),
  origin: 'dynamic',
  mac: undefined,
  ms: 1_789_000_000_000,
});

const ENTRIES: readonly Entry[] = [
  { op: 'journal' },
  { op: 'config', ms: 1, configuration: { pools: [INTERNAL], reservations: [reserve(INTERNAL, 'web', '10.0.5.50')] } },
  lease('a', '10.0.5.2'),
  { ...lease('b', '10.0.5.3'), origin: 'static', mac: '02:11:22:33:44:55' },
  { op: 'release', ...key('a'), address: mustParseIpv4('10.0.5.2'), ms: 5 },
  lease('c', '10.0.5.4'),
];
const encode = (entries: readonly Entry[]): Buffer =>
  Buffer.from(entries.map((entry, at) => encodeLine(at + 1, entry)).join(''));
const WHOLE = encode(ENTRIES);
interface ScanWithItems extends Omit<Scan, 'items'> {
  readonly items: readonly ScanItem[];
}
function scanAll(bytes: Buffer): ScanWithItems {
  const items: ScanItem[] = [];
  const scan = scanJournal(bytes, (item) => items.push(item));
  assert.equal(scan.items, items.filter(({ kind }) => kind !== 'corrected').length);
  assert.equal(scan.corrected, items.filter(({ kind }) => kind === 'corrected').length);
  return { ...scan, items };
}
const entriesOf = (scan: ScanWithItems): Entry[] =>
  scan.items.flatMap((item) => (item.kind === 'record' ? [item.entry] : []));
const damageOf = (scan: ScanWithItems): [number, number][] =>
  scan.items.flatMap((item) => (item.kind === 'damage' ? [[item.records, item.bytes] as [number, number]] : []));

describe('journal', () => {
  it('takes a lease line whose fields the schemas take, and no other', () => {
    const name = fc.oneof(
      fc.stringMatching(/^[A-Za-z0-9._-]{0,3}$/),
      fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,64}$/),
      fc.constantFrom('', '.', '..', 'a'.repeat(63), 'a'.repeat(64), '/a', 'a:', '@a', 'a[', 'é'),
    );
    const mac = fc.constantFrom('-', '--', '', '02:11:22:33:44:55', '03:11:22:33:44:55', '02:11');
    const origin = fc.constantFrom('dynamic', 'static', 'stati', '');
    const address = fc.oneof(
      fc.ipV4(),
      fc.constantFrom('', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1.2..4', '1.2.3.'),
    );
    const ms = fc.constantFrom('0', '1789000000000', '999999999999999', '1000000000000000', '-1', '', '1 2');
    const fields = fc.tuple(name, name, name, address, origin, mac, ms);
    fc.assert(
      fc.property(fields, (all) => {
        const [pool, container, device, ip, from, hardware, since] = all;
        const body = `1 lease ${all.join(' ')}`;
        const scan = scanAll(Buffer.from(`${body} ${crcOf(body)}\n`, 'latin1'));
        const isLease =
          [poolName.safeParse(pool), containerName.safeParse(container), interfaceName.safeParse(device)].every(
            ({ success }) => success,
          ) &&
          parseIpv4(ip) !== undefined &&
          (from === 'dynamic' || from === 'static') &&
          (hardware === '-' || unicastMac.safeParse(hardware).success) &&
          /^\d{1,15}$/.test(since);
        const [entry] = entriesOf(scan);
        assert.equal(entry !== undefined, isLease, body);
        if (entry !== undefined) assert.equal(encodeLine(1, entry), `${body} ${crcOf(body)}\n`);
      }),
      { numRuns: 3000, examples: [[['', 'web', 'eth0', '10.0.5.2', 'dynamic', '-', '1']]] },
    );
  });

  it('reads back every kind of line', () => {
    const entries: Entry[] = [
      ...ENTRIES,
      { op: 'past', ...key('d'), address: mustParseIpv4('10.0.5.9'), home: true, ms: 7 },
      { op: 'quarantine', pool: 'internal', address: mustParseIpv4('10.0.5.10') },
      { op: 'doubt', records: 3, addresses: 12 },
    ];
    const scan = scanAll(encode(entries));
    assert.deepEqual(entriesOf(scan), entries);
    assert.deepEqual([scan.nextSequence, scan.wholeBytes, scan.corrected], [10, encode(entries).length, 0]);
  });

  it('says of a configuration which interfaces it has behind what every build reads', () => {
    const configuration = { pools: [INTERNAL], reservations: [reserve(INTERNAL, 'web', '10.0.5.50')] };
    const interfaces = { internal: { 'web/eth0': null, 'db/eth0': '02:11:22:33:44:55' } };
    const entry: Entry = { op: 'config', ms: 1, configuration: { ...configuration, interfaces } };
    assert.deepEqual(entriesOf(scanAll(encode([entry]))), [entry]);
    const [sequence, op, ms, json, more] = encodeLine(1, entry).split(' ');
    assert.deepEqual([sequence, op, ms], ['1', 'config', '1']);
    assert.deepEqual([JSON.parse(json ?? ''), JSON.parse(more ?? '')], [configuration, interfaces]);
  });

  it('cut at any byte holds every line that was whole, and no damage', () => {
    const ends = ENTRIES.map((_, at) => encode(ENTRIES.slice(0, at + 1)).length);
    for (let cut = 0; cut <= WHOLE.length; cut += 1) {
      const scan = scanAll(WHOLE.subarray(0, cut));
      // A line that lacks only its newline counts as whole.
      const whole = ends.filter((end) => end - 1 <= cut).length;
      assert.deepEqual(entriesOf(scan), ENTRIES.slice(0, whole), `cut at ${cut}`);
      assert.deepEqual([damageOf(scan), scan.corrected], [[], 0], `cut at ${cut}`);
      assert.equal(scan.nextSequence, whole + 1);
    }
  });

  it('with any one bit flipped loses no record and says that there was one', () => {
    for (let bit = 0; bit < WHOLE.length * 8; bit += 1) {
      const flipped = Buffer.from(WHOLE);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const scan = scanAll(flipped);
      assert.deepEqual(entriesOf(scan), ENTRIES, `bit ${bit}`);
      assert.deepEqual([damageOf(scan), scan.corrected], [[], 1], `bit ${bit}`);
    }
  });

  it('with a line destroyed keeps the others and counts what is lost', () => {
    const end = encode(ENTRIES.slice(0, 3)).length;
    const start = encode(ENTRIES.slice(0, 2)).length;
    const zeroed = Buffer.from(WHOLE).fill(0, start, end);
    assert.deepEqual(entriesOf(scanAll(zeroed)), [...ENTRIES.slice(0, 2), ...ENTRIES.slice(4)]);
    const scribbled = Buffer.from(WHOLE).fill('x', start, end - 1);
    assert.deepEqual(damageOf(scanAll(scribbled)), [[1, end - start]]);
    const removed = Buffer.concat([WHOLE.subarray(0, start), WHOLE.subarray(end)]);
    assert.deepEqual(damageOf(scanAll(removed)), [[1, 0]]);
  });

  it('with its last line destroyed, newline kept, reports damage instead of a torn tail', () => {
    const start = encode(ENTRIES.slice(0, 5)).length;
    const scan = scanAll(Buffer.from(WHOLE).fill('x', start, WHOLE.length - 1));
    assert.deepEqual(damageOf(scan).length, 1);
    assert.ok((damageOf(scan)[0]?.[0] ?? 0) >= 1);
  });

  it('reads anything without throwing, and never more records than lines', () => {
    const edits = fc.array(fc.tuple(fc.nat(WHOLE.length - 1), fc.uint8Array({ maxLength: 40 })), { maxLength: 4 });
    fc.assert(
      fc.property(edits, (changes) => {
        const bytes = Buffer.from(WHOLE);
        for (const [at, patch] of changes) bytes.set(patch.subarray(0, bytes.length - at), at);
        const scan = scanAll(bytes);
        for (const entry of entriesOf(scan))
          assert.ok(ENTRIES.some((one) => encodeLine(1, one) === encodeLine(1, entry)));
      }),
      { numRuns: 200 },
    );
  });

  it('refuses the file of another version', () => {
    const body = '1 journal 2';
    const line = encodeLine(1, { op: 'journal' });
    assert.ok(line.startsWith('1 journal 1 '));
    const other = Buffer.from(`${body} ${crcOf(body)}\n`);
    assert.throws(() => scanAll(other), UnknownJournalVersion);
  });
});

function crcOf(text: string): string {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text, 'latin1')) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, '0');
}
