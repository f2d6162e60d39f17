// Frames over a real socket: what is sent in one turn leaves in one write, in order, and before the end; what is read lasts no longer than it must.
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import process from 'node:process';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import {
  bytesOf,
  type Frame,
  HEADER_BYTES,
  idOf,
  KIND,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  sizeOf,
} from '../../shared/ipc/envelope.ts';
import type { Port, PortListener } from '../../shared/ipc/port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { payloadFrame } from './payload-frame.ts';

describe('ipc.socket-port', () => {
  let ports: Port[];
  let port: Port;
  let farFd: number;
  let ids: number[];
  let writes: () => number;

  beforeEach(() => {
    const written = mock.method(Socket.prototype, 'write');
    // The test's own report is written to another one.
    writes = () => written.mock.calls.filter((call) => call.this !== process.stdout).length;
    ports = [];
    ids = [];
    const [nearFd, otherFd] = unixSocketPair();
    farFd = otherFd;
    port = opened(nearFd, () => undefined);
  });
  afterEach(() => {
    for (const each of ports) each.close();
    mock.restoreAll();
  });

  const opened = (fd: number, onFrame: PortListener['onFrame'], onClose: PortListener['onClose'] = () => undefined) => {
    const opening = socketPort(fd)({ onFrame, onClose, onDrain: () => undefined });
    ports.push(opening);
    return opening;
  };
  /** Resolves with the reason of its end. */
  const readFar = (): Promise<string> =>
    new Promise((resolve) => {
      opened(farFd, (frame) => void ids.push(idOf(frame)), resolve);
    });
  const send = (id: number, payloadBytes: number): void =>
    port.send(payloadFrame(KIND.beat, id, 0, 0, new Uint8Array(payloadBytes).fill(id)));
  const upTo = (last: number): readonly number[] => Array.from({ length: last }, (_, index) => index + 1);
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('sends what one turn has to say in one write', async () => {
    for (const id of upTo(40)) send(id, 50);
    assert.ok(port.queuedBytes() > 2_000, 'what waits for the end of the turn counts as queued');
    assert.equal(writes(), 0);
    await nextTurn();
    assert.equal(writes(), 1);
    port.close();
    assert.equal(await readFar(), '');
    assert.deepEqual(ids, upTo(40));
  });

  it('begins to send before the end of a turn that has much to say', async () => {
    for (const id of upTo(100)) send(id, 50);
    assert.ok(writes() >= 1, 'the other side has something to read already');
    await nextTurn();
    assert.ok(writes() <= 3, `${writes()} writes`);
    port.close();
    assert.equal(await readFar(), '');
    assert.deepEqual(ids, upTo(100));
  });

  it('sends what follows from a message together, and before anything else has its turn', async () => {
    const written: number[] = [];
    const answering = opened(farFd, (frame) => {
      process.nextTick(() => written.push(writes()));
      answering.send(frame);
      answering.send(frame);
      written.push(writes());
    });
    send(1, 50);
    await eventually('it is answered', PATIENCE_MS, () => written.length === 2);
    assert.deepEqual(written, [1, 2]);
  });

  it('passes messages on as they were, however long they wait to be taken', async () => {
    const [relayFd, lastFd] = unixSocketPair();
    const relay = opened(relayFd, () => undefined);
    opened(farFd, (frame) => relay.send(frame));
    for (const id of upTo(100)) send(id, 50 + id * 150);
    await eventually('more waits than the kernel takes', PATIENCE_MS, () => relay.queuedBytes() > 2 * MAX_FRAME_BYTES);
    const wrong: number[] = [];
    opened(lastFd, (frame) => {
      ids.push(idOf(frame));
      if (!isFilled(frame)) wrong.push(idOf(frame));
    });
    await eventually('all have arrived', PATIENCE_MS, () => ids.length === 100);
    assert.deepEqual([ids, wrong], [upTo(100), []]);
  });

  it('counts what the other side has not taken, until it has', async () => {
    const all = 40 * MAX_FRAME_BYTES;
    for (const id of upTo(40)) send(id, MAX_PAYLOAD_BYTES);
    await nextTurn();
    const queuedBytes = port.queuedBytes();
    assert.ok(queuedBytes > all / 2 && queuedBytes < all, `${queuedBytes} of ${all} bytes`);
    send(41, 0);
    assert.equal(port.queuedBytes(), queuedBytes + HEADER_BYTES);
    void readFar();
    await eventually('everything is taken', PATIENCE_MS, () => port.queuedBytes() === 0);
  });

  it('lets what is queued leave before the end', async () => {
    for (const id of upTo(40)) send(id, MAX_PAYLOAD_BYTES);
    send(41, 0);
    port.close();
    assert.equal(await readFar(), '');
    assert.deepEqual(ids, upTo(41));
    send(42, 0);
    assert.equal(port.queuedBytes(), 0, 'nothing is taken after the end');
  });

  it('reads a bounded part of much in a turn, so that others and timers have theirs', async () => {
    const all = 40;
    for (const id of upTo(all)) send(id, 4_000);
    await nextTurn();
    let turn = 0;
    const bytesInTurn: number[] = [];
    opened(farFd, (frame) => {
      ids.push(idOf(frame));
      bytesInTurn[turn] = (bytesInTurn[turn] ?? 0) + sizeOf(frame);
    });
    for (; ids.length < all; turn += 1) await nextTurn();
    assert.deepEqual(ids, upTo(all));
    // A frame that began in the turn before may end in it.
    const most = MAX_FRAME_BYTES + HEADER_BYTES + 4_000;
    for (const bytes of bytesInTurn) assert.ok((bytes ?? 0) <= most, bytesInTurn.join());
  });

  it('ends the connection over what is no frame, and says so', async () => {
    const ended = readFar();
    send(1, 50);
    port.send({ bytes: Buffer.alloc(64), at: 0, end: 64 });
    send(2, 50);
    assert.equal(await ended, 'malformed frame');
    assert.deepEqual(ids, [1]);
  });
});

/** As `send` made it. */
function isFilled(frame: Frame): boolean {
  return bytesOf(frame)
    .subarray(HEADER_BYTES)
    .every((byte) => byte === idOf(frame) % 256);
}
