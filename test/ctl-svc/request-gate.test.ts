import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type AskForStep, createFairTurns } from '../../services/ctl-svc/fair-turns.ts';
import { createFigures } from '../../services/ctl-svc/figures.ts';
import {
  CONTAINER_LIMITS,
  type ControlServer,
  type ControlSocket,
  createControlServer,
} from '../../services/ctl-svc/http-server.ts';
import { json } from '../../services/ctl-svc/reply.ts';
import { MAX_PIECE_BYTES, MAX_PIECE_LINES, pieceLength } from '../../services/ctl-svc/request-gate.ts';
import { until } from './rig.ts';

const BLANK = /\n\r?\n|^\r?\n/;

function piecesOf(whole: Buffer): readonly Buffer[] {
  const pieces: Buffer[] = [];
  for (let rest = whole; rest.length > 0; ) {
    const length = pieceLength(rest);
    assert.ok(length > 0);
    pieces.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return pieces;
}

describe('ctl-svc pieces of what a container sends', () => {
  it('end with the first head that they complete, lose nothing, and are bounded in bytes and lines', () => {
    const word = fc.constantFrom(
      '\r\n',
      '\n',
      '\r\n\r\n',
      '\n\n',
      'GET / HTTP/1.1',
      'A: b',
      '\r',
      '1\r\na\r\n',
      'x'.repeat(5_000),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 400 }), (words) => {
        const whole = Buffer.from(words.join(''));
        const pieces = piecesOf(whole);
        assert.ok(Buffer.concat(pieces).equals(whole));
        for (const piece of pieces) {
          const text = piece.toString('latin1');
          assert.ok(piece.length <= MAX_PIECE_BYTES);
          assert.ok(text.split('\n').length - 1 <= MAX_PIECE_LINES);
          const blank = BLANK.exec(text);
          if (blank !== null) assert.equal(blank.index + blank[0].length, text.length);
        }
      }),
    );
  });
});

describe('ctl-svc request gate', () => {
  let folder: string;
  let control: ControlServer | undefined;
  let listening: ControlSocket | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ctl-gate-'));
  });
  afterEach(() => {
    listening?.server.close();
    control?.close();
    rmSync(folder, { recursive: true });
  });

  /** Answers each body with itself. */
  const serve = async (
    onRequest: () => Promise<void> | void = () => undefined,
    ask: AskForStep = createFairTurns({ perTurn: 4, perSecond: 1e6, burst: 1e6 }).party(),
  ): Promise<string> => {
    const path = join(folder, 'socket');
    control = createControlServer(async (_, { target, readBody }) => {
      await onRequest();
      const body = await readBody();
      return json([target, Buffer.isBuffer(body) ? body.toString('latin1') : 'no body']);
    }, createFigures());
    listening = control.open({ kind: 'container', container: 'web' }, CONTAINER_LIMITS, ask);
    await new Promise<void>((resolve) => listening?.server.listen({ path }, resolve));
    return path;
  };

  /** Writes pieces one by one, ends its side, and takes all that comes. */
  const exchange = (path: string, pieces: readonly Buffer[]): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      const client = connect({ path, allowHalfOpen: true });
      client.setEncoding('latin1');
      client.on('error', reject);
      client.on('data', (chunk: string) => {
        text += chunk;
      });
      client.on('end', () => {
        client.end();
        resolve(text);
      });
      const write = (index: number): void => {
        const piece = pieces[index];
        if (piece === undefined) client.end();
        else client.write(piece, () => setImmediate(write, index + 1));
      };
      client.on('connect', () => write(0));
    });

  const bodiesOf = (answers: string): unknown[] =>
    [...answers.matchAll(/\r\n\r\n(\[.*?\])(?=HTTP\/1\.1 |$)/gs)].map(([, body]) => JSON.parse(body ?? ''));

  it('answers whatever is pipelined in its order, however it is cut', async () => {
    const path = await serve();
    const body = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom('\r\n\r\n', '\n\n\n', '\n'.repeat(300)));
    const request = fc.record({ body, isChunked: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat({ max: 2_000 }), { maxLength: 4 }),
        async (requests, cuts) => {
          const bodies = requests.map((each) => Buffer.from(each.body));
          const whole = Buffer.concat(
            requests.flatMap(({ isChunked }, index) => {
              const bytes = bodies[index] ?? Buffer.alloc(0);
              const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`;
              const head = Buffer.from(`PUT /${index} HTTP/1.1\r\n${framing}\r\n\r\n`);
              if (!isChunked) return [head, bytes];
              const chunks = [...bytes].flatMap((byte) => [
                Buffer.from('1\r\n'),
                Buffer.from([byte]),
                Buffer.from('\r\n'),
              ]);
              return [head, ...chunks, Buffer.from('0\r\n\r\n')];
            }),
          );
          const places = [...cuts.filter((at) => at < whole.length), whole.length].sort((a, b) => a - b);
          const pieces = places.map((at, index) => whole.subarray(places[index - 1] ?? 0, at));
          const expected = bodies.map((bytes, index) => [`/${index}`, bytes.toString('latin1')]);
          assert.deepEqual(bodiesOf(await exchange(path, pieces)), expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('passes on a body of known length in pieces of bytes, whatever its lines, and one in chunks in pieces of lines', async () => {
    const turns = createFairTurns({ perTurn: 4, perSecond: 1e6, burst: 1e6 }).party();
    let steps = 0;
    const path = await serve(undefined, (step) => {
      steps += 1;
      turns(step);
    });
    const body = '\n'.repeat(30_000);
    const next = 'GET /next HTTP/1.1\r\n\r\n';
    const known = `PUT /a HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}${next}`;
    const answers = [
      ['/a', body],
      ['/next', ''],
    ];
    assert.deepEqual(bodiesOf(await exchange(path, [Buffer.from(known)])), answers);
    // Two heads, and what is read of a socket at a time.
    assert.ok(steps <= 12, `${steps} steps`);
    steps = 0;
    const chunked = `PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\n\n\r\n'.repeat(30_000)}0\r\n\r\n${next}`;
    assert.deepEqual(bodiesOf(await exchange(path, [Buffer.from(chunked)])), answers);
    assert.ok(steps >= (3 * 30_000) / MAX_PIECE_LINES, `${steps} steps`);
  });

  for (const [what, request] of [
    ['without a body', 'GET /a HTTP/1.1\r\n\r\n'],
    ['with a body', 'PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nab'],
    ['with a body in chunks', 'PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n'],
  ] as const) {
    it(`looks at no request of a connection before the one in front of it is answered: ${what}`, async () => {
      let atOnce = 0;
      let most = 0;
      let release: () => void = () => undefined;
      const path = await serve(async () => {
        atOnce += 1;
        most = Math.max(most, atOnce);
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        atOnce -= 1;
      });
      const asked = 30;
      const answers = exchange(path, [Buffer.from(request.repeat(asked))]);
      for (let index = 0; index < asked; index += 1) {
        await until(() => atOnce === 1);
        release();
        await until(() => atOnce === 0);
      }
      assert.equal(bodiesOf(await answers).length, asked);
      assert.equal(most, 1);
    });
  }

  it('stops to read of a client that does not read its answers, and of one that waits', async () => {
    let served = 0;
    const path = await serve(() => {
      served += 1;
    });
    const client = connect(path);
    client.on('error', () => undefined);
    try {
      client.pause();
      const flood = Buffer.from('GET /a HTTP/1.1\r\n\r\n'.repeat(20_000));
      client.write(flood);
      client.write(flood);
      let before = -1;
      // Until its receive buffer is full, nobody waits for anybody.
      await until(async () => {
        const isStill = before === served && served > 0;
        before = served;
        for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        return isStill && before === served;
      }, 20_000);
      assert.ok(served < 20_000, `${served} answered`);
      assert.ok(client.writableLength > flood.length / 2, 'it was read to its end');
    } finally {
      client.destroy();
    }
  });

  it('ends with its client, also in the middle of what it sends', async () => {
    const path = await serve();
    const connections = (): Promise<number> =>
      new Promise((resolve) => listening?.server.getConnections((_, count) => resolve(count)));
    for (const bytes of [
      'GET /a HTTP/1.1\r\n',
      'PUT /a HTTP/1.1\r\nContent-Length: 50\r\n\r\nhalf',
      'GET /a HTTP/1.1\r\n\r\nGET',
    ]) {
      const client = connect(path);
      client.on('error', () => undefined);
      client.on('connect', () => client.write(bytes, () => client.destroy()));
    }
    await until(async () => (await connections()) === 0, 20_000);
  });
});
