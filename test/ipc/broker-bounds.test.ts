// What the broker keeps for others is bounded, and neither a clock that is set nor a confused service makes it forget a call.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { encodePayload } from '../../shared/ipc/codec.ts';
import { type Handlers, ok } from '../../shared/ipc/contract.ts';
import { type Frame, KIND } from '../../shared/ipc/envelope.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { createMemoryBus, type MemoryBus } from '../../shared/ipc/memory-bus.ts';
import type { PortListener } from '../../shared/ipc/port.ts';
import { topicId } from '../../shared/ipc/topic.ts';
import { echoContract } from './echo-contract.ts';
import { payloadFrame } from './payload-frame.ts';

const LARGE = 'x'.repeat(60_000);
const echoing: Handlers<typeof echoContract> = {
  echo: ({ text }) => ok({ text }),
  count: () => ok({ count: 1 }),
};

describe('ipc.broker-bounds', () => {
  let bus: MemoryBus;
  const serve = () => {
    const channel = bus.connect('ipam-svc');
    channel.serve(echoContract, echoing);
    channel.ready();
    return channel;
  };
  beforeEach(() => {
    bus = createMemoryBus([echoContract]);
  });
  afterEach(() => {
    bus.close();
    mock.timers.reset();
  });

  it('answers OVERLOADED when too many bytes wait for a service that is down, and delivers the rest when it is up', async () => {
    const { echo } = bus.connect('state-svc').client(echoContract);
    const asked = Array.from({ length: 40 }, () =>
      echo({ text: LARGE }).then(
        () => 'ok',
        (error: unknown) => (error instanceof Fault ? error.code : String(error)),
      ),
    );
    const first = await Promise.race(asked);
    assert.equal(first, 'OVERLOADED');
    serve();
    const ended = await Promise.all(asked);
    const delivered = ended.filter((end) => end === 'ok').length;
    assert.ok(delivered >= 15 && delivered <= 20, `${delivered} delivered`);
    assert.equal(ended.length - delivered, ended.filter((end) => end === 'OVERLOADED').length);
  });

  it('keeps a call over a jump of the clock', async () => {
    bus.close();
    mock.timers.enable({ apis: ['Date', 'setInterval'], now: 0 });
    bus = createMemoryBus([echoContract]);
    const asked = bus.connect('state-svc').client(echoContract).echo({ text: 'a' });
    await new Promise((resolve) => setImmediate(resolve));
    mock.timers.tick(3_600_000);
    serve();
    assert.deepEqual(await asked, { ok: true, value: { text: 'a' } });
  });

  it('disconnects a caller that uses the number of a call that is under way', () => {
    let listener: PortListener | undefined;
    let closed = 0;
    bus.broker.attach('state-svc', (opened) => {
      listener = opened;
      return { send: () => undefined, queuedBytes: () => 0, close: () => (closed += 1) };
    });
    const say = (frame: Frame): void => listener?.onFrame(frame);
    const request = () =>
      payloadFrame(KIND.request, 7, topicId('ipam-svc', 'echo'), 1000, encodePayload({ text: 'a' }));
    say(payloadFrame(KIND.hello, 0, 0, 0, encodePayload({ contracts: 'memory' })));
    say(request());
    assert.deepEqual([closed, bus.broker.queueDepth('ipam-svc')], [0, 1]);
    say(request());
    assert.deepEqual([closed, bus.broker.queueDepth('ipam-svc')], [1, 0]);
  });

  it('costs a publisher of an event that is too large nothing but the event', async () => {
    const publisher = serve();
    const subscriber = bus.connect('state-svc');
    const got: string[] = [];
    subscriber.subscribe(echoContract, 'echoed', { onEvent: ({ text }) => got.push(text), onLost: () => undefined });
    await subscriber.client(echoContract).echo({ text: 'a' });
    publisher.publish(echoContract, 'echoed', { text: 'x'.repeat(70_000) });
    publisher.publish(echoContract, 'echoed', { text: 'small' });
    await subscriber.client(echoContract).echo({ text: 'a' });
    assert.deepEqual(got, ['small']);
  });
});
