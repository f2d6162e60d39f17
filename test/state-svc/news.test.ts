// Word for the one that waits for it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createNews } from '../../services/state-svc/news.ts';
import { turnsOfTheLoop } from './kit.ts';
import { createTestClock } from './test-clock.ts';

describe('news', () => {
  const open = () => {
    const clock = createTestClock();
    const news = createNews(clock);
    let ended = 0;
    const wait = (timeoutMs?: number): void => void news.next(timeoutMs).then(() => (ended += 1));
    const endedBy = async (): Promise<number> => {
      await turnsOfTheLoop();
      return ended;
    };
    return { clock, news, wait, endedBy };
  };

  it('comes to who waits, and its timer is gone then', async () => {
    const { clock, news, wait, endedBy } = open();
    wait(1000);
    assert.equal(await endedBy(), 0);
    news.tell();
    assert.equal(await endedBy(), 1);
    assert.deepEqual(clock.armed(), []);
  });

  it('is kept for the next wait, once, where nobody waits', async () => {
    const { news, wait, endedBy } = open();
    news.tell();
    news.tell();
    wait();
    assert.equal(await endedBy(), 1);
    wait();
    assert.equal(await endedBy(), 1);
  });

  it('is waited for as long as was said', async () => {
    const { clock, wait, endedBy } = open();
    wait(1000);
    clock.advance(999);
    assert.equal(await endedBy(), 0);
    clock.advance(1);
    assert.equal(await endedBy(), 1);
  });
});
