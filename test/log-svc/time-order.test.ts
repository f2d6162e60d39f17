import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { inTimeOrder } from '../../services/log-svc/time-order.ts';

const message = (name: string, text: string, timeMs: number): LogMessage => ({
  timeMs,
  level: 'INFO',
  origin: { kind: 'service', name },
  src: name,
  text,
  fields: {},
});

/** Up to four writers, whose clocks may go backwards. */
const writers = fc
  .array(fc.array(fc.nat({ max: 20 }), { maxLength: 8 }), { maxLength: 4 })
  .map((times) =>
    times.map((of, writer) => of.map((timeMs, index) => message(`w${writer}`, `${writer}.${index}`, timeMs))),
  );

describe('log-svc.inTimeOrder', () => {
  it('leaves nothing out, makes nothing up, and keeps what each writer said in its order', () => {
    fc.assert(
      fc.property(writers, (said) => {
        const all = inTimeOrder(said);
        for (const [writer, own] of said.entries()) {
          assert.deepEqual(
            all.filter(({ src }) => src === `w${writer}`),
            own,
          );
        }
        assert.equal(all.length, said.flat().length);
      }),
    );
  });

  it('is by time where no clock went backwards', () => {
    const forward = writers.map((said) => said.map((own) => own.toSorted((a, b) => a.timeMs - b.timeMs)));
    fc.assert(
      fc.property(forward, (said) => {
        const times = inTimeOrder(said).map(({ timeMs }) => timeMs);
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        );
      }),
    );
  });

  it('holds up nobody else where a clock went backwards', () => {
    const backwards = [message('w0', 'a', 50), message('w0', 'b', 1)];
    const other = [message('w1', 'c', 10), message('w1', 'd', 60)];
    assert.deepEqual(
      inTimeOrder([backwards, other]).map(({ text }) => text),
      ['c', 'a', 'b', 'd'],
    );
  });
});
