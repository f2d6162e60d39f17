// No bytes, however formed, crash a reader, make it hold more than one frame, or reach a handler without its schema's consent.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodePayload, encodePayload } from '../../shared/ipc/codec.ts';
import { bytesOf, type Frame, HEADER_BYTES, KIND, MAX_FRAME_BYTES } from '../../shared/ipc/envelope.ts';
import { createFrameReader } from '../../shared/ipc/frame-reader.ts';
import { createMemoryBus } from '../../shared/ipc/memory-bus.ts';
import { createServing } from '../../shared/ipc/serving.ts';
import { topicId } from '../../shared/ipc/topic.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { echoContract } from './echo-contract.ts';
import { payloadFrame } from './payload-frame.ts';

/** Cuts `bytes` at the given points, so that frames arrive in any pieces. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const points = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return points.slice(1).map((point, index) => bytes.subarray(points[index], point));
}

describe('ipc.frame-reader', () => {
  it('gives back the frames that were written, in whatever pieces they come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.nat()),
        (payloads, cuts) => {
          const stream = Buffer.concat(
            payloads.map((payload) => bytesOf(payloadFrame(KIND.request, 1, 2, 3, payload))),
          );
          const got: Buffer[] = [];
          const reader = createFrameReader((frame) => got.push(Buffer.from(bytesOf(frame).subarray(HEADER_BYTES))));
          for (const piece of pieces(stream, cuts)) {
            assert.equal(reader.push(piece), true);
            piece.fill(0);
          }
          assert.deepEqual(
            got,
            payloads.map((payload) => Buffer.from(payload)),
          );
        },
      ),
    );
  });

  it('never throws and never asks for more than one frame, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (chunks) => {
        const reader = createFrameReader(() => undefined);
        let refused = false;
        for (const chunk of chunks) {
          const accepted = reader.push(Buffer.from(chunk));
          assert.equal(refused && accepted, false, 'a broken stream stays broken');
          refused = !accepted;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('refuses a length above the cap before its bytes arrive', () => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(MAX_FRAME_BYTES, 0);
    assert.equal(createFrameReader(() => undefined).push(head), false);
  });
});

/** Without the one key that is not taken for what it says; a test of its own has it. */
const plainValue = fc.jsonValue({ maxDepth: 5 }).filter((value) => !JSON.stringify(value).includes('"__proto__"'));

describe('ipc.codec', () => {
  it('gives back every plain value', () => {
    fc.assert(
      fc.property(plainValue, (value) => {
        const decoded = decodePayload(encodePayload(value));
        assert.deepEqual(decoded?.value, JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('lets nobody set a prototype', () => {
    const decoded = decodePayload(encodePayload(JSON.parse('{"a":{"__proto__":{"evil":true}}}')));
    assert.deepEqual(decoded?.value, { a: { __proto_: { evil: true } } });
  });

  it('never throws on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        decodePayload(Buffer.from(bytes));
      }),
      { numRuns: 20_000 },
    );
  });

  it('never throws on valid bytes with some changed', () => {
    fc.assert(
      fc.property(plainValue, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (value, changes) => {
        const bytes = Buffer.from(encodePayload(value));
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        decodePayload(bytes);
      }),
      { numRuns: 5_000 },
    );
  });

  it('refuses extensions, binaries, deep nesting, and lengths that the bytes cannot hold', () => {
    const refused: Readonly<Record<string, number[]>> = {
      'a record definition': [0xd4, 0x72, 0x40],
      'a date extension': [0xd6, 0xff, 0, 0, 0, 0],
      'a binary': [0xc4, 0x01, 0x00],
      'the byte that is never used': [0xc1],
      'an array of four thousand million': [0xdd, 0xff, 0xff, 0xff, 0xff],
      'a map of four thousand million': [0xdf, 0xff, 0xff, 0xff, 0xff],
      'a string longer than its bytes': [0xa5, 0x61],
      'bytes left over': [0xc0, 0xc0],
      nothing: [],
      'nesting of a thousand': [...Array.from({ length: 1_000 }, () => 0x91), 0xc0],
    };
    for (const [what, bytes] of Object.entries(refused)) {
      assert.equal(decodePayload(Buffer.from(bytes)), undefined, what);
    }
  });
});

describe('ipc.serving', () => {
  it('hands a handler nothing that its schema did not make', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), plainValue.map(encodePayload)), (payload) => {
        const handled: unknown[] = [];
        const serving = createServing(() => undefined, silentLogger);
        serving.add(echoContract, {
          echo: (params) => {
            handled.push(params);
            return { ok: true, value: { text: '' } };
          },
          count: () => ({ ok: true, value: { count: 0 } }),
        });
        serving.request(payloadFrame(KIND.request, 1, topicId('ipam-svc', 'echo'), 50, payload));
        for (const params of handled) {
          assert.ok(
            typeof params === 'object' && params !== null && 'text' in params && typeof params.text === 'string',
          );
          assert.deepEqual(Object.keys(params), ['text']);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('ipc.broker', () => {
  it('ends only the connection that sends nonsense', async () => {
    const bus = createMemoryBus([echoContract]);
    const server = bus.connect('ipam-svc');
    server.serve(echoContract, {
      echo: ({ text }) => ({ ok: true, value: { text } }),
      count: () => ({ ok: true, value: { count: 0 } }),
    });
    server.ready();
    const client = bus.connect('state-svc').client(echoContract);
    const stranger: Frame[] = [];
    bus.broker.attach('log-svc', (listener) => {
      setImmediate(() => listener.onFrame(payloadFrame(KIND.request, 1, 2, 3, Buffer.from('no hello first'))));
      return { send: (frame) => void stranger.push(frame), queuedBytes: () => 0, close: () => listener.onClose('') };
    });
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.deepEqual(await client.echo({ text: 'still' }), { ok: true, value: { text: 'still' } });
    bus.close();
  });

  it('refuses a build that speaks other contracts', async () => {
    const gone: string[] = [];
    const { createBroker } = await import('../../shared/ipc/broker.ts');
    const { createChannel } = await import('../../shared/ipc/channel.ts');
    const { memoryPorts } = await import('../../shared/ipc/memory-port.ts');
    const broker = createBroker({
      contracts: [echoContract],
      contractsHash: 'ours',
      log: silentLogger,
      listener: {
        onReady: () => gone.push('ready'),
        onBeat: () => undefined,
        onGone: (_, reason) => gone.push(reason),
      },
    });
    const [brokerEnd, serviceEnd] = memoryPorts();
    broker.attach('ipam-svc', brokerEnd);
    const channel = createChannel(serviceEnd, { contractsHash: 'theirs', log: silentLogger, beatMs: 0 });
    channel.ready();
    await channel.closed;
    assert.deepEqual(gone, ['contracts differ']);
    broker.close();
  });
});
