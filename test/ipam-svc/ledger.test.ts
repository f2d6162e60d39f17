// The ledger against a model that scans arrays, over random requests, undone writes and restarts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type Entry, encodeLine } from '../../services/ipam-svc/journal-format.ts';
import { type ScanItem, scanJournal } from '../../services/ipam-svc/journal-scan.ts';
import { createLedger, type Ledger } from '../../services/ipam-svc/ledger.ts';
import { formatIpv4, mustParseIpv4 } from '../../shared/ipv4/address.ts';
import type { Pool } from '../../shared/schema/network.ts';
import { INTERNAL, reserve, SMALL } from './kit.ts';

type Step =
  | { readonly kind: 'allocate'; readonly who: number; readonly fails: boolean }
  | { readonly kind: 'static'; readonly who: number; readonly offset: number; readonly fails: boolean }
  | { readonly kind: 'release'; readonly who: number; readonly fails: boolean }
  | { readonly kind: 'restart'; readonly compacted: boolean };

const who = fc.nat(11);
const fails = fc.boolean();
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('allocate' as const), who, fails }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('static' as const), who, offset: fc.nat(16), fails }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('release' as const), who, fails }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), compacted: fc.boolean() }) },
);

/** 4 to 13 addresses, the gateway anywhere, two of them reserved for containers 10 and 11. */
const setup = fc.constantFrom(
  { subnet: '10.0.7.0/29', gateway: 1, reserved: [3, 4] },
  { subnet: '10.0.7.8/29', gateway: 6, reserved: [1, 2] },
  { subnet: '10.0.7.0/28', gateway: 7, reserved: [14, 1] },
);

interface Model {
  readonly held: Map<string, number>;
  used: number[];
  released: number[];
}

/** What the rules say, by looking at every address. */
function modelAllocate(
  model: Model,
  name: string,
  size: number,
  banned: readonly number[],
  own: number | undefined,
  wish: number | undefined,
): number | string {
  const wanted = wish ?? own;
  const current = model.held.get(name);
  const holderOf = (offset: number): string | undefined => [...model.held].find(([, at]) => at === offset)?.[0];
  if (wanted !== undefined) {
    if (wanted <= 0 || wanted >= size - 1 || wanted === banned[0]) return 'ADDRESS_UNUSABLE';
    if (banned.includes(wanted) && wanted !== own) return 'ADDRESS_TAKEN';
    const holder = holderOf(wanted);
    if (holder !== undefined && holder !== name) return 'ADDRESS_TAKEN';
    return wanted;
  }
  if (current !== undefined) return current;
  for (let offset = 1; offset < size - 1; offset += 1) {
    if (!banned.includes(offset) && !model.used.includes(offset)) return offset;
  }
  return model.released.find((offset) => !banned.includes(offset)) ?? 'POOL_EXHAUSTED';
}

function hold(model: Model, name: string, offset: number): void {
  const current = model.held.get(name);
  if (current !== undefined && current !== offset) model.released.push(current);
  model.held.set(name, offset);
  if (!model.used.includes(offset)) model.used.push(offset);
  model.released = model.released.filter((one) => one !== offset);
}

/** Everything that can be seen of a ledger. */
function picture(ledger: Ledger): string {
  return JSON.stringify(ledger.snapshot());
}

/** As a start reads it, which must come to what each record applied as an entry does. */
function replayed(entries: readonly Entry[]): Ledger {
  const bytes = Buffer.from(entries.map((entry, at) => encodeLine(at + 1, entry)).join(''));
  const [ledger, slow] = [createLedger(), createLedger()];
  const into = (one: Ledger) => (item: ScanItem) => {
    assert.ok(item.kind === 'record');
    one.replay(item.entry);
  };
  scanJournal(bytes, into(ledger), ledger.applyFirst);
  scanJournal(bytes, into(slow));
  assert.equal(picture(ledger), picture(slow));
  return ledger;
}

describe('ledger', () => {
  it('gives what the model gives, over allocate, release, statics, failed writes and restarts', () => {
    fc.assert(
      fc.property(setup, fc.array(step, { maxLength: 80, size: 'max' }), ({ subnet, gateway, reserved }, steps) => {
        const first = mustParseIpv4(subnet.split('/')[0] ?? '');
        const size = 2 ** (32 - Number(subnet.split('/')[1]));
        const at = (offset: number): string => formatIpv4(first + offset);
        const pool: Pool = { ...SMALL, subnet, gateway: at(gateway) };
        const reservations = reserved.map((offset, index) => reserve(pool, `c${10 + index}`, at(offset)));
        const banned = [gateway, ...reserved];
        const model: Model = { held: new Map(), used: [], released: [] };
        // Whom a fixed address was given without a reservation goes home later; the model leaves such containers out.
        const homes = new Set<string>();
        let ledger = createLedger();
        const journal: Entry[] = [{ op: 'journal' }];
        const configured = ledger.configure({ pools: [pool], reservations }, 1);
        assert.ok(configured.ok);
        journal.push(...configured.change.records);

        for (const [ms, one] of steps.entries()) {
          if (one.kind === 'restart') {
            if (one.compacted) journal.splice(0, journal.length, ...ledger.snapshot());
            const before = picture(ledger);
            ledger = replayed(journal);
            assert.equal(picture(ledger).length, before.length);
            continue;
          }
          const name = `c${one.who}`;
          const before = picture(ledger);
          if (one.kind === 'release') {
            const change = ledger.release({ pool: pool.name, container: name, interface: 'eth0' }, ms);
            assert.equal(change.released, model.held.has(name));
            if (one.fails) {
              change.undo();
              assert.equal(picture(ledger), before);
              continue;
            }
            journal.push(...change.records);
            const offset = model.held.get(name);
            if (offset !== undefined) model.released.push(offset);
            model.held.delete(name);
            homes.delete(name);
            continue;
          }
          if (one.kind === 'allocate' && homes.has(name)) continue;
          const own = one.who >= 10 ? reserved[one.who - 10] : undefined;
          const wish = one.kind === 'static' ? one.offset % size : undefined;
          const expected = modelAllocate(model, name, size, banned, own, wish);
          const address = wish === undefined ? undefined : at(wish);
          const given = ledger.allocate(name, [{ interface: 'eth0', pool: pool.name, address }], ms);
          const got = given.ok ? given.granted[0]?.lease.address : given.error.code;
          assert.equal(got, typeof expected === 'number' ? at(expected) : expected);
          if (!given.ok || typeof expected !== 'number') continue;
          if (one.fails) {
            given.change.undo();
            assert.equal(picture(ledger), before);
            continue;
          }
          journal.push(...given.change.records);
          if (one.kind === 'static') homes.add(name);
          hold(model, name, expected);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('undoes requests in reverse order, whatever they were, to exactly what was', () => {
    const NAMES = Array.from({ length: 12 }, (_, index) => `c${index}/eth0`);
    const mac = fc.constantFrom('02:11:22:33:44:55', '02:11:22:33:44:66');
    const change = fc.oneof(
      fc.record({
        kind: fc.constant('allocate' as const),
        who,
        address: fc.option(fc.nat(7), { nil: undefined }),
        mac: fc.option(mac, { nil: undefined }),
      }),
      fc.record({ kind: fc.constant('release' as const), who }),
      fc.record({
        kind: fc.constant('configure' as const),
        who,
        address: fc.nat(7),
        // Of whom the revision has an interface, and with which MAC; undefined: it does not say.
        present: fc.option(fc.dictionary(fc.constantFrom(...NAMES), fc.option(mac)), { nil: undefined }),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 25, size: 'max' }),
        fc.array(change, { maxLength: 25, size: 'max' }),
        (kept, undone) => {
          const ledger = createLedger();
          ledger.configure({ pools: [SMALL], reservations: [] }, 1);
          const apply = (one: (typeof kept)[number], ms: number): (() => void) => {
            const name = `c${one.who}`;
            if (one.kind === 'release')
              return ledger.release({ pool: SMALL.name, container: name, interface: 'eth0' }, ms).undo;
            const address = one.address === undefined ? undefined : `10.0.7.${one.address}`;
            const result =
              one.kind === 'configure'
                ? ledger.configure(
                    {
                      pools: [SMALL],
                      reservations: [reserve(SMALL, name, address ?? '')],
                      ...(one.present === undefined ? {} : { interfaces: { [SMALL.name]: { ...one.present } } }),
                    },
                    ms,
                  )
                : ledger.allocate(name, [{ interface: 'eth0', pool: SMALL.name, address, mac: one.mac }], ms);
            return result.ok ? result.change.undo : () => undefined;
          };
          for (const [ms, one] of kept.entries()) apply(one, ms);
          const before = picture(ledger);
          const undos = undone.map((one, ms) => apply(one, 100 + ms));
          for (const undo of undos.reverse()) undo();
          assert.equal(picture(ledger), before);
          // And it goes on giving what a ledger that never saw them gives.
          const fresh = replayed(JSON.parse(before));
          for (const name of ['c0', 'c1', 'c2', 'c3', 'x', 'y', 'z', 'x2', 'y2']) {
            const wish = [{ interface: 'eth0', pool: SMALL.name }];
            const [a, b] = [ledger.allocate(name, wish, 500), fresh.allocate(name, wish, 500)];
            assert.deepEqual(a.ok && a.granted, b.ok && b.granted);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('fills a /16 in linear time, each address once', () => {
    const ledger = createLedger();
    const pool: Pool = { ...INTERNAL, subnet: '10.1.0.0/16', gateway: '10.1.128.0' };
    ledger.configure({ pools: [pool], reservations: [] }, 1);
    const seen = new Set<string>();
    for (let index = 0; index < 65_533; index += 1) {
      const given = ledger.allocate(`c${index}`, [{ interface: 'eth0', pool: pool.name }], index);
      assert.ok(given.ok);
      seen.add(given.granted[0]?.lease.address ?? '');
    }
    assert.equal(seen.size, 65_533);
    const full = ledger.allocate('one-more', [{ interface: 'eth0', pool: pool.name }], 1);
    assert.deepEqual(!full.ok && full.error, {
      code: 'POOL_EXHAUSTED',
      pool: pool.name,
      size: 65_533,
      holders: 65_533,
    });
  });

  it('knows after a rewrite whose address a revision has fixed for another', () => {
    const ledger = createLedger();
    const first = (one: Ledger, container: string): string | false => {
      const given = one.allocate(container, [{ interface: 'eth0', pool: SMALL.name }], 1);
      return given.ok && (given.granted[0]?.lease.address ?? false);
    };
    const before = { pools: [SMALL], reservations: [], interfaces: { small: { 'gone/eth0': null } } };
    ledger.configure(before, 1);
    assert.equal(first(ledger, 'gone'), '10.0.7.2');
    const interfaces = { small: { 'fresh/eth0': null } };
    assert.ok(
      ledger.configure({ pools: [SMALL], reservations: [reserve(SMALL, 'fresh', '10.0.7.2')], interfaces }, 2).ok,
    );
    assert.equal(first(ledger, 'fresh'), '10.0.7.2');
    const rewritten = replayed(ledger.snapshot());
    assert.ok(rewritten.configure(before, 3).ok);
    assert.equal(first(rewritten, 'gone'), '10.0.7.2');
  });

  it('reads a MAC of a lease’s own back', () => {
    const lease: Entry = {
      op: 'lease',
      pool: SMALL.name,
      container: 'web',
      interface: 'eth0',
      origin: 'dynamic',
      ms: 1,
      address: mustParseIpv4('10.0.7.2'),
      mac: '02:00:00:00:00:07',
    };
    assert.deepEqual(
      replayed([{ op: 'journal' }, lease])
        .snapshot()
        .filter(({ op }) => op === 'lease'),
      [lease],
    );
  });
});
