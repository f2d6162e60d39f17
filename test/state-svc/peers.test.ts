import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { askInTurns, createAsk } from '../../services/state-svc/peers.ts';
import { Fault, type FaultCode } from '../../shared/ipc/fault.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { createTestClock } from './test-clock.ts';

/** How often is asked when every try ends with this fault, and how long that takes, ms. */
async function tries(code: FaultCode): Promise<{ asked: number; tookMs: number }> {
  const clock = createTestClock();
  const begun = clock.nowMs();
  let asked = 0;
  const asking = createAsk(
    clock,
    silentLogger,
  )(async () => {
    asked += 1;
    throw new Fault(code, 'lxc-svc.mount');
  });
  let over = false;
  asking.catch(() => {
    over = true;
  });
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(clock.armed()[0] ?? 0);
  }
  await assert.rejects(asking, { code });
  return { asked, tookMs: clock.nowMs() - begun };
}

describe('peers.ask in turns', () => {
  it('has so many requests under way and no more, in the order in which they come, also after one that fails', async () => {
    const order: number[] = [];
    let underWay = 0;
    const ask = askInTurns((call) => call(), 3);
    const all = Array.from({ length: 10 }, (_, index) =>
      ask(async () => {
        order.push(index);
        underWay += 1;
        assert.ok(underWay <= 3);
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        if (index === 4) throw new Error('four');
        return index;
      }),
    );
    const results = await Promise.allSettled(all);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason))),
      [0, 1, 2, 3, 'Error: four', 5, 6, 7, 8, 9],
    );
  });

  it('has nobody wait for one that waits to be asked again', async () => {
    const clock = createTestClock();
    const ask = askInTurns(createAsk(clock, silentLogger), 1);
    let isGone = true;
    const first = ask(async () => {
      if (isGone) throw new Fault('PEER_GONE', 'net-svc.attach');
      return 'first';
    });
    assert.equal(await ask(async () => 'second'), 'second');
    isGone = false;
    clock.advance(clock.armed()[0] ?? 0);
    assert.equal(await first, 'first');
  });
});

describe('peers.ask', () => {
  it('asks again over a restart of the receiver, a bounded number of times', async () => {
    assert.deepEqual(await tries('PEER_GONE'), { asked: 8, tookMs: 10_000 });
  });

  it('asks once more after a timeout', async () => {
    assert.deepEqual(await tries('TIMEOUT'), { asked: 2, tookMs: 50 });
  });

  it('does not repeat what another try would not change', async () => {
    for (const code of ['DENIED', 'BAD_PARAMS', 'INTERNAL', 'BAD_RESULT'] as const) {
      assert.equal((await tries(code)).asked, 1, code);
    }
  });
});
