import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAsk } from '../../services/state-svc/peers.ts';
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
