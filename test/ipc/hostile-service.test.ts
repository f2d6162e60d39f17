// A service that says what no channel of ours would say, or does not listen: it gets nothing by it, and nobody else notices.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Broker, createBroker } from '../../shared/ipc/broker.ts';
import { decodeMessage, encodeMessage, encodePayload } from '../../shared/ipc/codec.ts';
import type { ServiceName } from '../../shared/ipc/contract.ts';
import { copyFrame, type Frame, idOf, KIND, kindOf, signalFrame } from '../../shared/ipc/envelope.ts';
import type { PortListener } from '../../shared/ipc/port.ts';
import { topicId } from '../../shared/ipc/topic.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { echoContract } from './echo-contract.ts';
import { payloadFrame } from './payload-frame.ts';

const ECHO = topicId('ipam-svc', 'echo');
const ECHOED = topicId('ipam-svc', 'echoed');
const HIGHEST = 2 ** 32 - 1;
/** More than a service may leave unread. */
const TOO_MUCH_BYTES = 9 * 1024 * 1024;
/** More than requests may wait behind. */
const MUCH_BYTES = 2 * 1024 * 1024;

const hello = (kind: number = KIND.hello) =>
  payloadFrame(kind, 0, ECHO, 20_000, encodePayload({ contracts: 'of this build' }));
const ready = () => signalFrame(KIND.ready);
const request = (id: number, deadlineMs = 20_000, topic = ECHO) =>
  payloadFrame(KIND.request, id, topic, deadlineMs, encodePayload({ text: 'a' }));
const result = (id: number, text = 'a') => encodeMessage(KIND.result, id, ECHO, { text });
const echoed = () => encodeMessage(KIND.event, 0, ECHOED, { text: 'a' });

describe('ipc.broker, with a service that was taken over', () => {
  let broker: Broker;
  let told: string[];
  beforeEach(() => {
    told = [];
    broker = createBroker({
      contracts: [echoContract],
      contractsHash: 'of this build',
      log: silentLogger,
      listener: {
        onReady: (service) => told.push(`${service} ready`),
        onBeat: () => undefined,
        onGone: (service, reason) => told.push(`${service} gone: ${reason}`),
      },
    });
  });
  afterEach(() => broker.close());

  /** A connection that says what the test says, and is as full as that wants. */
  const connect = (service: ServiceName, ...said: readonly Frame[]) => {
    const got: Frame[] = [];
    const ends: PortListener[] = [];
    const connection = {
      queuedBytes: 0,
      say: (...frames: readonly Frame[]) => {
        for (const frame of frames) for (const end of ends) end.onFrame(frame);
      },
      drain: () => ends[0]?.onDrain(),
      die: () => ends[0]?.onClose('killed'),
      /** Kind and number of what it was sent. */
      got: () => got.map((frame) => [kindOf(frame), idOf(frame)]),
      last: () => decodeMessage(got.at(-1) ?? signalFrame(0))?.value,
    };
    broker.attach(service, (listener) => {
      ends.push(listener);
      return {
        send: (frame) => void got.push(copyFrame(frame)),
        queuedBytes: () => connection.queuedBytes,
        close: () => undefined,
      };
    });
    connection.say(...said);
    return connection;
  };

  it('takes nothing before the greeting, and no other message for one', () => {
    const server = connect('ipam-svc', hello(), ready());
    for (const first of [request(1), ready(), hello(KIND.request)]) {
      const stranger = connect('state-svc', first, request(2));
      assert.deepEqual(stranger.got(), []);
      assert.equal(told.at(-1), 'state-svc gone: contracts differ');
    }
    assert.deepEqual(server.got(), []);
  });

  it('tells no event to who has not greeted', () => {
    const server = connect('ipam-svc', hello(), ready());
    const listener = connect('state-svc');
    server.say(echoed());
    assert.deepEqual(listener.got(), []);
    listener.say(hello());
    server.say(echoed());
    assert.deepEqual(listener.got(), [[KIND.event, 2]]);
  });

  it('hears nothing of a connection that was replaced, and its end ends nothing', () => {
    const server = connect('ipam-svc', hello(), ready());
    const old = connect('state-svc', hello());
    const present = connect('state-svc', hello());
    old.say(request(1));
    old.die();
    assert.deepEqual(server.got(), []);
    present.say(request(2));
    assert.equal(server.got().length, 1);
    assert.equal(told.at(-1), 'state-svc gone: replaced by a new connection');
  });

  it('passes an answer on once, of the call that was asked, and not before it was', () => {
    const caller = connect('state-svc', hello());
    const server = connect('ipam-svc', hello());
    caller.say(request(7));
    // It was not sent yet, but its number can be guessed.
    for (let id = 0; id < 9; id += 1) server.say(result(id, 'forged'));
    assert.deepEqual(caller.got(), []);
    server.say(ready());
    const [[, id = 0] = []] = server.got();
    server.say(result(HIGHEST, 'forged'), result(id, 'true'), result(id, 'again'));
    assert.deepEqual(caller.got(), [[KIND.result, 7]]);
    assert.deepEqual(caller.last(), { text: 'true' });
  });

  it('keeps what waits for a service over its death, and withdraws what a dead one asked', () => {
    const caller = connect('state-svc', hello());
    const early = connect('ipam-svc', hello());
    caller.say(request(6), request(7), request(8), signalFrame(KIND.cancel, 6));
    early.die();
    assert.deepEqual(caller.got(), []);
    const server = connect('ipam-svc', hello());
    // A new one is asked when it says that it is ready, not because the last one was.
    assert.deepEqual(server.got(), []);
    server.say(ready());
    // It hears nothing of what was taken back before.
    assert.deepEqual(server.got(), [
      [KIND.request, 2],
      [KIND.request, 3],
    ]);
    caller.die();
    assert.deepEqual(server.got().slice(2), [
      [KIND.cancel, 2],
      [KIND.cancel, 3],
    ]);
    assert.equal(broker.queueDepth('ipam-svc'), 0);
    server.die();
    const next = connect('ipam-svc', hello());
    connect('state-svc', hello()).say(request(9));
    assert.deepEqual(next.got(), []);
  });

  it('has the next connection of a service greet, and be ready, as the one before', () => {
    connect('ipam-svc', hello(), ready()).die();
    const server = connect('ipam-svc', result(1));
    assert.equal(told.at(-1), 'ipam-svc gone: contracts differ');
    connect('state-svc', hello()).say(request(1));
    assert.deepEqual(server.got(), []);
  });

  it('asks nothing of one that does not read, and keeps no more for it', () => {
    const caller = connect('state-svc', hello());
    const server = connect('ipam-svc', hello(), ready());
    server.queuedBytes = MUCH_BYTES;
    caller.say(request(7));
    assert.deepEqual([server.got(), caller.got()], [[], [[KIND.fault, 7]]]);
    server.queuedBytes = 0;
    caller.say(request(8));
    assert.equal(server.got().length, 1);
  });

  it('ends the connection of who asks on and does not read its answers; others’ stay', () => {
    const server = connect('ipam-svc', hello(), ready());
    const caller = connect('state-svc', hello());
    caller.queuedBytes = TOO_MUCH_BYTES;
    caller.say(request(1));
    server.say(result(1));
    assert.deepEqual(told.slice(1), ['state-svc gone: queue full']);
    const next = connect('state-svc', hello());
    next.say(request(1));
    server.say(result(2));
    assert.deepEqual(next.got(), [[KIND.result, 1]]);
  });

  it('owes a new connection nothing of what the one before did not read', () => {
    const server = connect('ipam-svc', hello(), ready());
    const slow = connect('state-svc', hello());
    slow.queuedBytes = MUCH_BYTES;
    for (let count = 0; count < 300; count += 1) server.say(echoed());
    slow.die();
    const next = connect('state-svc', hello());
    next.drain();
    assert.deepEqual(next.got(), []);
    server.say(echoed());
    assert.deepEqual(next.got(), [[KIND.event, 301]]);
  });

  it('takes the highest numbers for what they are', () => {
    const server = connect('ipam-svc', hello(), ready());
    const caller = connect('state-svc', hello());
    caller.say(request(HIGHEST, HIGHEST), request(0, HIGHEST), request(5, HIGHEST, HIGHEST));
    assert.deepEqual(caller.got(), [[KIND.fault, 5]]);
    for (const kind of [0, 11, HIGHEST]) caller.say(payloadFrame(kind, HIGHEST, HIGHEST, HIGHEST, new Uint8Array(64)));
    caller.say(signalFrame(KIND.cancel, HIGHEST - 1));
    server.say(result(1), result(2));
    assert.deepEqual(caller.got().slice(1), [
      [KIND.result, HIGHEST],
      [KIND.result, 0],
    ]);
    assert.deepEqual(told, ['ipam-svc ready']);
  });

  it('ends a call that nobody answers, for both sides', async () => {
    const server = connect('ipam-svc', hello(), ready());
    const caller = connect('state-svc', hello());
    caller.say(request(7, 1), request(8));
    await eventually('its end', PATIENCE_MS, () => caller.got().length > 0);
    assert.deepEqual(caller.got(), [[KIND.fault, 7]]);
    assert.deepEqual(server.got().slice(2), [[KIND.cancel, 1]]);
    server.say(result(1), result(2));
    assert.deepEqual(caller.got().slice(1), [[KIND.result, 8]]);
  });
});
