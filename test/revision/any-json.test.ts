// Whatever a state holds, it is judged: no input makes the parser throw, and what it accepts keeps the rules.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseDevice, parseState } from '../../shared/revision/validate.ts';
import { bridgePool, reservation } from '../../shared/schema/network.ts';
import { container, DEVICE, DIGEST, POOL, parse, state } from './states.ts';

const RUNS = 400;
const json = fc.jsonValue({ maxDepth: 4 });
const seldom = <T>(sound: T, other: fc.Arbitrary<unknown> = json) =>
  fc.oneof({ arbitrary: fc.constant<unknown>(sound), weight: 6 }, { arbitrary: other, weight: 1 });

const address = fc.oneof(
  fc.integer({ min: 0, max: 255 }).map((last) => `10.0.5.${last}`),
  fc.ipV4(),
  fc.string(),
);
const network = fc.oneof(
  fc.record({ pool: seldom('internal'), ip: seldom(undefined, address), mac: seldom(undefined, fc.string()) }),
  fc.record({
    mode: seldom('pool'),
    interfaces: fc.array(fc.record({ pool: seldom('internal'), ipv4_address: address, name: seldom('eth0') })),
  }),
  json,
);
const device = fc.oneof(
  fc.record({
    network: fc.record({
      pools: fc.dictionary(
        seldom('internal', fc.string()).map(String),
        fc.record({
          type: seldom('bridge'),
          bridge: seldom('br0'),
          subnet: seldom('10.0.5.0/24', fc.oneof(address, json)),
          gateway: seldom('10.0.5.1', fc.oneof(address, json)),
          nat: seldom(true),
        }),
      ),
    }),
    groups: seldom(undefined),
  }),
  json,
);
const revision = fc.record({
  '#spec': seldom('pantavisor-service-system@1'),
  'device.json': fc.oneof({ arbitrary: fc.constant<unknown>(DEVICE), weight: 2 }, { arbitrary: device, weight: 1 }),
  'a/run.json': fc.record({ '#spec': seldom('service-manifest-run@1'), 'root-volume': seldom('r'), network }),
  'a/r': seldom(DIGEST),
  'a/lxc.container.conf': seldom(DIGEST),
  'b/run.json': fc.record({ '#spec': fc.constant('service-manifest-run@1'), 'root-volume': fc.constant('r'), network }),
  'b/r': seldom(DIGEST),
  'b/lxc.container.conf': seldom(DIGEST),
});

describe('revision.parseState, with any JSON', () => {
  it('never throws, whatever the document and whatever its objects hold', () => {
    const anything = fc.oneof(json, revision, fc.dictionary(fc.string(), json));
    fc.assert(
      fc.property(anything, fc.option(fc.string(), { nil: undefined }), (document, text) => {
        const parsed = parseState(document, () => text);
        if (!parsed.ok) assert.notEqual(parsed.problems.length, 0);
        parseDevice(document);
      }),
      { numRuns: RUNS },
    );
  });

  it('never throws on a document as deep as JSON.parse allows', () => {
    const deep: unknown = JSON.parse(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`);
    for (const document of [
      deep,
      state({ 'device.json': deep }),
      state({ 'device.json': { network: { pools: { internal: deep } } } }),
      state(container('a', { network: deep, logs: [deep], group: deep, roles: [deep] })),
    ]) {
      parse(document);
      parseDevice(document);
    }
  });

  it('treats keys that every object has like any other', () => {
    const document: unknown = JSON.parse(
      '{"__proto__":{"#spec":"pantavisor-service-system@1"},"constructor":{},"device.json":{"__proto__":3,"network":{"pools":{"__proto__":{}}}}}',
    );
    const parsed = parse(document);
    assert.deepEqual(parsed.ok ? [] : parsed.problems.map(({ path }) => path), ['#spec']);
  });

  it('accepts only what the doors of other services accept, each address once', () => {
    let accepted = 0;
    fc.assert(
      fc.property(revision, (document) => {
        const parsed = parse(document);
        if (!parsed.ok) return;
        accepted += 1;
        for (const pool of parsed.revision.pools) bridgePool.parse(pool);
        const { reservations } = parsed.revision;
        for (const each of reservations) reservation.parse(each);
        const held = reservations.map(({ pool, address: taken }) => `${pool} ${taken}`);
        assert.equal(new Set(held).size, held.length);
        assert.equal(held.includes(`internal ${POOL.gateway}`), false);
      }),
      { numRuns: RUNS },
    );
    assert.notEqual(accepted, 0);
  });
});
