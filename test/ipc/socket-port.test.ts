// Frames over a real socket: what is sent in one turn leaves in one write, in order, and before the end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  encodeFrame,
  HEADER_BYTES,
  idOf,
  KIND,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
} from '../../shared/ipc/envelope.ts';
import type { Port } from '../../shared/ipc/port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

describe('ipc.socket-port', () => {
  let folder: string;
  let server: Server;
  let near: Socket;
  let far: Socket;
  let port: Port;
  let ids: number[];
  let writes: number;
  let farEnded: Promise<string>;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-port-'));
    const path = join(folder, 'socket');
    server = createServer().listen(path);
    await once(server, 'listening');
    const accepted: Promise<Socket[]> = once(server, 'connection');
    near = connect(path);
    const [other] = await accepted;
    assert.ok(other !== undefined);
    far = other;
    ids = [];
    farEnded = new Promise((resolve) => {
      socketPort(far)({ onFrame: (frame) => void ids.push(idOf(frame)), onClose: resolve, onDrain: () => undefined });
    });
    writes = 0;
    const write = near.write.bind(near);
    near.write = (bytes: Uint8Array | string) => {
      writes += 1;
      return write(bytes);
    };
    port = socketPort(near)({ onFrame: () => undefined, onClose: () => undefined, onDrain: () => undefined });
  });
  afterEach(() => {
    near.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const send = (id: number, payloadBytes: number): void =>
    port.send(encodeFrame(KIND.beat, id, 0, 0, new Uint8Array(payloadBytes)));

  it('sends what one turn has to say in one write', async () => {
    for (let id = 1; id <= 40; id += 1) send(id, 50);
    assert.ok(port.queuedBytes() > 2_000, 'what waits for the end of the turn counts as queued');
    assert.equal(writes, 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(writes, 1);
    port.close();
    assert.equal(await farEnded, '');
    assert.deepEqual(
      ids,
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
  });

  it('begins to send before the end of a turn that has much to say', async () => {
    for (let id = 1; id <= 100; id += 1) send(id, 50);
    assert.ok(writes >= 1, 'the other side has something to read already');
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(writes <= 3, `${writes} writes`);
    port.close();
    assert.equal(await farEnded, '');
    assert.deepEqual(
      ids,
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
  });

  it('counts what the other side has not taken, until it has', async () => {
    far.pause();
    const all = 40 * MAX_FRAME_BYTES;
    for (let id = 1; id <= 40; id += 1) send(id, MAX_PAYLOAD_BYTES);
    await new Promise((resolve) => setImmediate(resolve));
    const queuedBytes = port.queuedBytes();
    assert.ok(queuedBytes > all / 2 && queuedBytes < all, `${queuedBytes} of ${all} bytes`);
    send(41, 0);
    assert.equal(port.queuedBytes(), queuedBytes + HEADER_BYTES);
    far.resume();
    await eventually('everything is taken', PATIENCE_MS, () => port.queuedBytes() === 0);
  });

  it('lets what is queued leave before the end', async () => {
    for (let id = 1; id <= 40; id += 1) send(id, MAX_PAYLOAD_BYTES);
    send(41, 0);
    port.close();
    assert.equal(await farEnded, '');
    assert.deepEqual(
      ids,
      Array.from({ length: 41 }, (_, index) => index + 1),
    );
    send(42, 0);
    assert.equal(port.queuedBytes(), 0, 'nothing is taken after the end');
  });
});
