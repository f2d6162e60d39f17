// What is kept of containers, and what is remembered when the process ends in the middle; the end is played by a sink that throws.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { readDatagrams } from '../../services/log-svc/datagram-reader.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { createBudget, type Limits } from '../../services/log-svc/message-budget.ts';
import { createMessageKeeper, noteOf, type Turn } from '../../services/log-svc/message-keeper.ts';
import { makePlace, type Place } from './log-rig.ts';

const LIMITS: Limits = { burstBytes: 200, bytesPerSecond: 1, reportMs: 60_000 };

describe('log-svc.messageKeeper', () => {
  let place: Place;
  let path: string;
  let got: LogMessage[];
  const sink = { messages: (batch: readonly LogMessage[]) => void got.push(...batch), bytes: () => undefined };
  const dying = {
    messages: () => {
      throw new Error('killed');
    },
    bytes: () => undefined,
  };
  const say = (turn: Turn, ...texts: readonly string[]): void => {
    for (const text of texts) {
      if (turn.isOpen()) turn.keep(noteOf('web', text), text.length);
      else turn.drop();
    }
  };
  const texts = (): string[] => got.map(({ text }) => text.replace(/ in \d+ ms.*/, ''));

  beforeEach(() => {
    place = makePlace();
    path = join(place.rundir, 'log/sockets.accepted');
    got = [];
  });
  afterEach(() => place.remove());

  it('hands on what was kept and not laid down, over any number of ends', () => {
    for (let end = 1; end <= 2; end += 1) {
      const keeper = createMessageKeeper(path);
      try {
        keeper.start(dying);
        keeper.turn('web', (turn) => say(turn, 'one', 'two\nlines'));
      } catch {
        // That was the end.
      }
    }
    const last = createMessageKeeper(path);
    last.start(sink);
    assert.deepEqual(texts(), ['one', 'two\nlines']);
    assert.deepEqual(got[0], { ...noteOf('web', 'one'), timeMs: got[0]?.timeMs });
    last.stop();
    createMessageKeeper(path).start(sink);
    assert.equal(got.length, 2);
  });

  it('leaves out a message whose line was torn: it is in its queue still', () => {
    const keeper = createMessageKeeper(path);
    keeper.start(sink);
    try {
      keeper.start(dying);
      keeper.turn('web', (turn) => say(turn, 'whole'));
    } catch {
      appendFileSync(path, '{"message":{"timeMs":1,"level":"IN');
    }
    createMessageKeeper(path).start(sink);
    assert.deepEqual(texts(), ['whole']);
  });

  it('says after an end what was dropped before it and not said', () => {
    const keeper = createMessageKeeper(path, LIMITS);
    keeper.start(sink);
    keeper.turn('web', (turn) => say(turn, 'x'.repeat(200), 'dropped', 'dropped'));
    keeper.turn('web', (turn) => say(turn, 'dropped'));
    assert.equal(got.length, 1);
    createMessageKeeper(path, LIMITS).start(sink);
    assert.deepEqual(texts().slice(1), ['3 messages dropped']);
    assert.deepEqual(got.at(-1)?.origin, { kind: 'container', name: 'web' });
    keeper.stop();
    assert.deepEqual(texts().slice(2), ['3 messages dropped'], 'and, had it lived, once');
  });

  it('keeps the budgets of containers apart', () => {
    const keeper = createMessageKeeper(path, LIMITS);
    keeper.start(sink);
    keeper.turn('loud', (turn) => say(turn, 'x'.repeat(200)));
    assert.equal(keeper.isOverBudget('loud'), true);
    assert.equal(keeper.isOverBudget('quiet'), false);
    keeper.stop();
  });
});

describe('log-svc.messageBudget', () => {
  it('never keeps more than the burst, the rate, and one message of debt', () => {
    const step = fc.record({ waitMs: fc.nat({ max: 500 }), bytes: fc.nat({ max: 1_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const budget = createBudget({ burstBytes: 5_000, bytesPerSecond: 10_000, reportMs: 100 });
        let [nowMs, kept, dropped, reported] = [0, 0, 0, 0];
        for (const { waitMs, bytes } of steps) {
          nowMs += waitMs;
          if (budget.isOpen(nowMs)) {
            budget.spend(bytes);
            kept += bytes;
          } else {
            budget.drop(nowMs);
            dropped += 1;
          }
          reported += budget.takeReport(nowMs, false)?.messages ?? 0;
          assert.ok(kept <= 5_000 + (nowMs * 10_000) / 1000 + 1_000);
        }
        assert.equal(reported + (budget.takeReport(nowMs, true)?.messages ?? 0), dropped);
      }),
    );
  });
});

describe('log-svc.readDatagrams', () => {
  it('leaves a socket that never runs dry for the next one’s turn', () => {
    let [kept, taken] = [0, 0];
    const kernel = {
      peekDatagram: () => 5,
      receiveWithDescriptors: () => {
        taken += 1;
        return { bytes: Buffer.alloc(0), descriptors: [] };
      },
    };
    const lanes = { close: () => undefined, isFull: () => false };
    const turn: Turn = {
      isOpen: () => kept < 40,
      keep() {
        kept += 1;
      },
      drop: () => undefined,
    };
    assert.equal(readDatagrams(3, 'web', { kernel, lanes })(turn), true);
    assert.deepEqual([kept, taken], [40, 64]);
  });
});
