// What a channel says of a message that it cannot read: the line does not grow with what is wrong.
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createChannel } from '../../shared/ipc/channel.ts';
import { decodeMessage, encodeMessage } from '../../shared/ipc/codec.ts';
import { type Channel, ok } from '../../shared/ipc/contract.ts';
import { copyFrame, type Frame, idOf, KIND, kindOf } from '../../shared/ipc/envelope.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import type { PortListener } from '../../shared/ipc/port.ts';
import { topicId } from '../../shared/ipc/topic.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { echoContract } from './echo-contract.ts';

const MAX_LINE_CHARS = 600;
/** A message is full of them. */
const WRONG: Readonly<Record<string, unknown>> = {
  'keys that it does not know': Object.fromEntries(Array.from({ length: 6_000 }, (_, index) => [`key${index}`, 0])),
  'a name that fills it': { text: 'a', ['x'.repeat(60_000)]: 0 },
  'a list': Array(60_000).fill(0),
};

describe('ipc.shape-problem', () => {
  let channel: Channel;
  let warnings: string[];
  let sent: Frame[];
  let listeners: PortListener[];
  beforeEach(() => {
    warnings = [];
    sent = [];
    listeners = [];
    const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    channel = createChannel(
      (listener) => {
        listeners.push(listener);
        return { send: (frame) => void sent.push(copyFrame(frame)), queuedBytes: () => 0, close: () => undefined };
      },
      { contractsHash: '', log, beatMs: 0 },
    );
  });
  const receive = (frame: Frame): void => listeners[0]?.onFrame(frame);
  const lastSent = (): Frame => sent.at(-1) ?? assert.fail('nothing was sent');

  for (const [what, payload] of Object.entries(WRONG)) {
    it(`is a line, of a message with ${what}`, async () => {
      channel.subscribe(echoContract, 'echoed', { onEvent: () => assert.fail('was read'), onLost: () => undefined });
      receive(encodeMessage(KIND.event, 1, topicId('ipam-svc', 'echoed'), payload));
      channel.serve(echoContract, { echo: ({ text }) => ok({ text }), count: () => ok({ count: 1 }) });
      receive(encodeMessage(KIND.request, 1, topicId('ipam-svc', 'echo'), payload));
      assert.equal(kindOf(lastSent()), KIND.fault);
      const asked = channel.client(echoContract).echo({ text: 'a' });
      receive(encodeMessage(KIND.result, idOf(lastSent()), topicId('ipam-svc', 'echo'), payload));
      const fault = await asked.catch((error: unknown) => error);
      assert.ok(fault instanceof Fault && fault.code === 'BAD_RESULT');
      const told = sent.filter((frame) => kindOf(frame) === KIND.fault).map((frame) => decodeMessage(frame)?.value);
      const texts = [...warnings, fault.message, JSON.stringify(told)];
      assert.equal(texts.length, 4);
      for (const text of texts) assert.ok(text.length < MAX_LINE_CHARS, `${text.length}: ${text.slice(0, 200)}`);
    });
  }

  it('names where and what', () => {
    channel.subscribe(echoContract, 'echoed', { onEvent: () => assert.fail('was read'), onLost: () => undefined });
    receive(encodeMessage(KIND.event, 1, topicId('ipam-svc', 'echoed'), { text: 5, more: 1 }));
    assert.deepEqual(warnings, [
      'unreadable event ipam-svc.echoed: text: invalid_type, expected string, all of it: unrecognized_keys',
    ]);
  });
});
