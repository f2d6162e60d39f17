// What a message says is what its reader is told, whatever was written before it and whatever comes after.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeMessage, decodePayload, encodeMessage, encodePayload } from '../../shared/ipc/codec.ts';
import { bytesOf, idOf, KIND, kindOf, sizeOf, topicOf } from '../../shared/ipc/envelope.ts';
import { createMsgpackWriter } from '../../shared/ipc/msgpack-writer.ts';

const told = (value: unknown): unknown => decodePayload(encodePayload(value))?.value;

/** Of any characters, most of them ASCII; fast-check's own take seconds to begin. */
const text = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0x80, max: 0xd7ff }), fc.constant(0x1f642)))
  .map((points) => String.fromCodePoint(...points));

describe('ipc.codec', () => {
  it('writes and reads what the specification of msgpack says', () => {
    // The example of msgpack.org, and one of each form of its spec.md that is in use here.
    const vectors: readonly (readonly [unknown, string])[] = [
      [{ compact: true, schema: 0 }, '82a7636f6d70616374c3a6736368656d6100'],
      [[null, false, true], '93c0c2c3'],
      [[0, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295], '98007fcc80ccffcd0100cdffffce00010000ceffffffff'],
      [[-1, -32, -33, -2_147_483_648], '94ffe0d2ffffffdfd280000000'],
      [[1.5, 4_294_967_296], '92cb3ff8000000000000cb41f0000000000000'],
      ['é', 'a2c3a9'],
      ['x'.repeat(32), `d920${'78'.repeat(32)}`],
      ['x'.repeat(256), `da0100${'78'.repeat(256)}`],
      ['x'.repeat(65_536), `db00010000${'78'.repeat(65_536)}`],
      [Array.from({ length: 16 }, () => null), `dc0010${'c0'.repeat(16)}`],
      [
        Object.fromEntries(
          ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15'].map((key) => [
            key,
            null,
          ]),
        ),
        `de0010${[...'0123456789'].map((digit) => `a13${digit}c0`).join('')}${[...'012345'].map((digit) => `a2313${digit}c0`).join('')}`,
      ],
    ];
    for (const [value, hex] of vectors) {
      assert.equal(encodePayload(value).toString('hex'), hex);
      assert.deepEqual(decodePayload(Buffer.from(hex, 'hex')), { value });
    }
  });

  it('gives back every number', () => {
    const bounds = [
      0,
      0x1f,
      0x20,
      0x7f,
      0x80,
      0xff,
      0x100,
      0xffff,
      0x10000,
      0x7fffffff,
      0x80000000,
      0xffffffff,
      2 ** 53,
    ];
    for (const bound of bounds.flatMap((each) => [each - 1, each, each + 1]))
      for (const value of [bound, -bound, bound + 0.5]) assert.equal(told(value), value === 0 ? 0 : value);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.MIN_VALUE]) assert.equal(told(value), value);
    fc.assert(fc.property(fc.double(), (value) => assert.equal(told(value), value === 0 ? 0 : value)));
  });

  it('gives back every string, of any length and script', () => {
    for (const length of [0, 1, 10, 11, 31, 32, 85, 86, 255, 256, 21_846, 65_535, 65_536])
      for (const unit of ['x', 'é', '€', '🙂', 'x€']) assert.equal(told(unit.repeat(length)), unit.repeat(length));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), (texts) => assert.deepEqual(told(texts), texts)),
      { numRuns: 300 },
    );
  });

  it('never takes one short string for another', () => {
    const texts = Array.from({ length: 5_000 }, (_, index) => [`key-${index}`, `é${index}`, `Ã©${index}`]).flat();
    for (let round = 0; round < 2; round += 1) assert.deepEqual(texts.map(told), texts);
    assert.deepEqual(
      [
        [0xa2, 0xc3, 0xa9],
        [0xa1, 0xff],
      ].map((bytes) => decodePayload(Buffer.from(bytes))?.value),
      ['é', '\ufffd'],
    );
  });

  it('gives back lists and maps of every length', () => {
    for (const length of [0, 15, 16, 65_536]) {
      const list = Array.from({ length }, (_, index) => index);
      assert.deepEqual(told(list), list);
      const map = Object.fromEntries(list.map((index) => [`k${index}`, index]));
      assert.deepEqual(told(map), map);
    }
  });

  it('writes a name again as it wrote it first, wherever in memory that was', () => {
    // Up to the end of the memory that the first message was given: the second one has to move, with each of its names in turn.
    for (let fill = 16_200; fill < 16_400; fill += 1) {
      const writer = createMsgpackWriter();
      const names = ['name', 'é', '\u{1f642}€', 'a name that is too long to be kept as it is', `unlike-${fill}`];
      const members = Object.fromEntries(names.map((name) => [name, fill]));
      for (const value of [new Array(fill).fill(0), members, members])
        assert.deepEqual(decodePayload(bytesOf(writer.write(value, 0))), { value });
    }
  });

  it('leaves out what is undefined', () => {
    assert.deepEqual(told({ a: undefined, b: { c: undefined, d: 1 }, e: [undefined] }), { b: { d: 1 }, e: [null] });
    const member = (index: number) => [`k${index}`, index % 2 === 0 ? index : undefined] as const;
    const members = Array.from({ length: 40 }, (_, index) => member(index));
    const defined = members.filter(([, value]) => value !== undefined);
    assert.deepEqual(told(Object.fromEntries(members)), Object.fromEntries(defined));
  });

  it('writes nothing over what it handed out', () => {
    const value = fc.oneof(fc.string({ maxLength: 50 }), fc.string({ minLength: 5_000, maxLength: 40_000 }));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 12 }), (values) => {
        const frames = values.map((text, index) => encodeMessage(KIND.request, index + 1, 7, { text }));
        assert.deepEqual(
          frames.map((frame) => [kindOf(frame), idOf(frame), topicOf(frame), decodeMessage(frame)?.value]),
          values.map((text, index) => [KIND.request, index + 1, 7, { text }]),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('lays messages side by side, so that they leave in one piece', () => {
    const [first, second] = ['a', 'b'].map((text) => encodeMessage(KIND.event, 0, 7, { text }));
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(first.bytes !== second.bytes || first.end === second.at);
    assert.ok(sizeOf(first) < 100);
  });

  it('writes the next message as if one that is no data had not been', () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    for (const wrong of [{ a: 1n }, { a: ['x'.repeat(40_000), () => undefined] }, { a: Symbol('b') }, cyclic]) {
      const before = encodeMessage(KIND.event, 1, 7, { text: 'before' });
      assert.throws(() => encodeMessage(KIND.event, 2, 7, wrong));
      const after = encodeMessage(KIND.event, 3, 7, { text: 'after' });
      assert.deepEqual(
        [before, after].map((frame) => decodeMessage(frame)?.value),
        [{ text: 'before' }, { text: 'after' }],
      );
    }
  });
});
