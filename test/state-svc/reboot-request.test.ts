// A reboot that does not come now is asked for again, while it is needed and nothing is under way that may help.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRebootRequests } from '../../services/state-svc/reboot-request.ts';
import type { Channel } from '../../shared/ipc/contract.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { turnsOfTheLoop } from './kit.ts';
import { createTestClock } from './test-clock.ts';

const AGAIN_MS = 5_000;
const COMES = { ok: true, value: {} };
const LOOPED = { ok: false, error: { code: 'REBOOT_LOOP' } };
const UNCOUNTED = { ok: false, error: { code: 'REBOOT_UNCOUNTED', reason: 'ENOSPC' } };

/** `answers`: of the supervisor, one after the other, the last for good; undefined: it does not answer. */
const open = (...answers: readonly (object | undefined)[]) => {
  const clock = createTestClock();
  const it = { asked: 0, isBusy: false, holds: true, decided: 0, told: [] as string[] };
  const reboot = async (): Promise<unknown> => {
    const answer = answers[Math.min(it.asked, answers.length - 1)];
    it.asked += 1;
    if (answer === undefined) throw new Error('TIMEOUT');
    return answer;
  };
  const requests = createRebootRequests({
    channel: { client: () => ({ reboot }) } as unknown as Channel,
    clock,
    log: { ...silentLogger, error: (message) => void it.told.push(message) },
    isBusy: () => it.isBusy,
  });
  requests.request('CODE', 'why', {
    holds: () => it.holds,
    decided() {
      it.decided += 1;
    },
  });
  const pass = async (): Promise<void> => {
    await turnsOfTheLoop();
    clock.advance(AGAIN_MS);
    await turnsOfTheLoop();
  };
  return Object.assign(it, { pass });
};

describe('state.reboot-request', () => {
  it('is made until it comes, and told once', async () => {
    const it = open(UNCOUNTED, undefined, COMES);
    for (const asked of [2, 3, 3]) {
      await it.pass();
      assert.equal(it.asked, asked);
    }
    assert.deepEqual([it.decided, it.told.length], [1, 1]);
    assert.match(it.told[0] ?? '', /no reboot for CODE now, it cannot be counted \(ENOSPC\): why/);
  });

  it('is made no more where it never comes', async () => {
    const it = open(LOOPED);
    await it.pass();
    assert.deepEqual([it.asked, it.decided], [1, 1]);
  });

  it('is not made again while something is under way, and not after that where it is needed no more', async () => {
    const it = open(UNCOUNTED);
    it.isBusy = true;
    for (let time = 0; time < 3; time += 1) await it.pass();
    assert.equal(it.asked, 1);
    it.isBusy = false;
    await it.pass();
    assert.equal(it.asked, 2);
    it.isBusy = true;
    await it.pass();
    [it.isBusy, it.holds] = [false, false];
    for (let time = 0; time < 2; time += 1) await it.pass();
    assert.deepEqual([it.asked, it.decided], [2, 0]);
  });
});
