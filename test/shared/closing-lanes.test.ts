// Closing descriptors of containers, of which some take as long as their senders like.
import assert from 'node:assert/strict';
import { openSync, promises, readlinkSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { createClosingLanes } from '../../shared/kernel/closing-lanes.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Lingering, openLingering } from '../kit/lingering.ts';

/** Longer than anybody waits here. */
const LINGER_SECONDS = 60;

interface Opened {
  readonly fd: number;
  readonly link: string;
}

/** False as soon as its closing begins. */
function isOpen({ fd, link }: Opened): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === link;
  } catch {
    return false;
  }
}

function openQuick(): Opened {
  const link = import.meta.filename;
  return { fd: openSync(link, 'r'), link };
}

describe('kernel.closingLanes', () => {
  const slow = new Set<Lingering>();
  const openSlow = (): Lingering => {
    const lingering = openLingering(LINGER_SECONDS);
    slow.add(lingering);
    return lingering;
  };
  const release = (lingering: Lingering): void => {
    slow.delete(lingering);
    lingering.release();
  };
  afterEach(() => {
    for (const each of slow) release(each);
  });

  it('leaves threads to others, however many containers are slow', { timeout: PATIENCE_MS }, async () => {
    const lanes = createClosingLanes();
    // One for each thread of the pool, and more.
    for (let count = 0; count < 6; count += 1) lanes.close(openSlow().fd, `slow-${count}`);
    await promises.stat(import.meta.filename);
  });

  it('closes what others have beside a container that is slow, however much of that waits', async () => {
    const lanes = createClosingLanes();
    const own = Array.from({ length: 3 }, openSlow);
    for (const { fd } of own) lanes.close(fd, 'slow');
    const others = Array.from({ length: 3 }, openQuick);
    for (const { fd } of others) lanes.close(fd, 'other');
    await eventually('they are closed', PATIENCE_MS, () => !others.some(isOpen));
    for (const each of slow) release(each);
    await eventually('all are closed', PATIENCE_MS, () => !own.some(isOpen));
    assert.ok(!lanes.isFull('slow'));
  });

  it('lets who has waited go before who has much to close', async () => {
    const lanes = createClosingLanes();
    const [first, second, third] = [openSlow(), openSlow(), openSlow()];
    const rest = openQuick();
    lanes.close(first.fd, 'first');
    lanes.close(second.fd, 'second');
    lanes.close(rest.fd, 'first');
    lanes.close(third.fd, 'third');
    release(first);
    await eventually('it is its turn', PATIENCE_MS, () => !isOpen(third));
    assert.ok(isOpen(rest));
    release(second);
    await eventually('the rest is closed', PATIENCE_MS, () => !isOpen(rest));
  });
});
