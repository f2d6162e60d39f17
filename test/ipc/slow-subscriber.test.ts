// A subscriber that does not keep up loses the oldest events, learns how many, and holds nobody else up.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { decodeMessage, encodeMessage } from '../../shared/ipc/codec.ts';
import type { Channel } from '../../shared/ipc/contract.ts';
import { bytesOf, type Frame, KIND, kindOf, sizeOf } from '../../shared/ipc/envelope.ts';
import { createMemoryBus, type MemoryBus } from '../../shared/ipc/memory-bus.ts';
import type { PortListener } from '../../shared/ipc/port.ts';
import { topicId } from '../../shared/ipc/topic.ts';
import { echoContract } from './echo-contract.ts';

/** A subscriber whose connection is as full as the test says. */
function attachSubscriber(bus: MemoryBus) {
  const got: Frame[] = [];
  let queuedBytes = 0;
  let grows = false;
  let listener: PortListener | undefined;
  bus.broker.attach('state-svc', (opened) => {
    listener = opened;
    return {
      send(frame) {
        got.push(frame);
        if (grows) queuedBytes += sizeOf(frame);
      },
      queuedBytes: () => queuedBytes,
      close: () => opened.onClose(''),
    };
  });
  listener?.onFrame(encodeMessage(KIND.hello, 0, 0, { contracts: 'memory' }));
  return {
    fill: () => {
      queuedBytes = 1024 * 1024;
    },
    /** From now on nothing leaves before the next drain. */
    block: () => {
      grows = true;
    },
    queuedBytes: () => queuedBytes,
    drain: () => {
      queuedBytes = 0;
      listener?.onDrain();
    },
    events: () => got.filter((frame) => kindOf(frame) === KIND.event).map((frame) => decodeMessage(frame)?.value),
    lost: () => got.filter((frame) => kindOf(frame) === KIND.lost).map((frame) => decodeMessage(frame)?.value),
    ended: () => listener?.onClose(''),
  };
}

describe('ipc.slow-subscriber', () => {
  let bus: MemoryBus;
  let publisher: Channel;
  /** Publishes and waits until the broker has had them all: an answer to the publisher comes after them. */
  const publish = async (texts: readonly string[]): Promise<void> => {
    for (const text of texts) publisher.publish(echoContract, 'echoed', { text });
    await publisher
      .client(echoContract)
      .echo({ text: 'flush' })
      .catch(() => undefined);
  };

  beforeEach(() => {
    bus = createMemoryBus([echoContract]);
    publisher = bus.connect('ipam-svc');
  });
  afterEach(() => bus.close());

  it('gets everything, in order, when it drains in time', async () => {
    const subscriber = attachSubscriber(bus);
    subscriber.fill();
    await publish(['one', 'two']);
    assert.deepEqual(subscriber.events(), []);
    subscriber.drain();
    assert.deepEqual(subscriber.events(), [{ text: 'one' }, { text: 'two' }]);
    assert.deepEqual(subscriber.lost(), []);
  });

  it('gets what waited as it was published, though the memory that it was read into is used again', () => {
    const subscriber = attachSubscriber(bus);
    subscriber.fill();
    let listener: PortListener | undefined;
    bus.broker.attach('ipam-svc', (opened) => {
      listener = opened;
      return { send: () => undefined, queuedBytes: () => 0, close: () => undefined };
    });
    listener?.onFrame(encodeMessage(KIND.hello, 0, 0, { contracts: 'memory' }));
    const event = encodeMessage(KIND.event, 0, topicId('ipam-svc', 'echoed'), { text: 'one' });
    listener?.onFrame(event);
    bytesOf(event).fill(0);
    subscriber.drain();
    assert.deepEqual(subscriber.events(), [{ text: 'one' }]);
  });

  it('is sent what waited in parts that its queue can hold', async () => {
    const subscriber = attachSubscriber(bus);
    subscriber.fill();
    const text = 'x'.repeat(60_000);
    await publish(Array.from({ length: 20 }, () => text));
    subscriber.block();
    subscriber.drain();
    assert.ok(subscriber.queuedBytes() < 400_000, `${subscriber.queuedBytes()} bytes at once`);
    while (subscriber.events().length < 20) subscriber.drain();
    assert.deepEqual(subscriber.lost(), []);
  });

  it('loses the oldest beyond the bound, and is told how many before the rest', async () => {
    const subscriber = attachSubscriber(bus);
    subscriber.fill();
    await publish(Array.from({ length: 300 }, (_, index) => String(index)));
    subscriber.drain();
    const [lost] = subscriber.lost();
    assert.deepEqual(lost, { count: 44 });
    assert.deepEqual(subscriber.events()[0], { text: '44' });
    assert.equal(subscriber.events().length, 256);
  });
});
