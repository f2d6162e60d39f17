// The power goes at every step of an update, one after the other: whatever happened until then, the device comes up whole.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { createDevice, type Device, stateOf, TRIAL, writeRevision } from './device.ts';

const APP = { group: 'app', auto_recovery: { policy: 'no' } };
const BEFORE = { a: APP, b: APP, gone: APP };
const AFTER = { a: APP, b: { ...APP, logs: [] }, fresh: APP };

const bootState = ({ storage }: Device) => JSON.parse(readFileSync(join(storage, 'boot/current.json'), 'utf8'));

async function progress({ state }: Device, name: string): Promise<string> {
  const answer = await state.stepProgress({ name });
  return answer.ok ? answer.value.progress.status : 'gone';
}

/** Every container of this revision runs, and nothing else. */
function whole(device: Device, containers: object, revision: string): Promise<true> {
  return eventually(`revision ${revision} runs whole`, PATIENCE_MS, async () => {
    const rows = await device.rows();
    const isUp = Object.values(rows).every(({ status }) => status === 'STARTED');
    const isFrom = [...device.world.containers.values()].every((each) => each.revision === revision);
    return isUp && isFrom && assert.deepEqual(Object.keys(rows), Object.keys(containers)) === undefined;
  });
}

/** Answers whether the update was over before `calls` of it had been made. */
async function cutAfter(calls: number): Promise<boolean> {
  const device = await createDevice(BEFORE, {});
  try {
    await (await device.boot()).settled;
    await whole(device, BEFORE, '0');
    await writeRevision(device.storage, 'locals/x', stateOf(AFTER, {}));
    const from = device.world.calls.length;
    assert.ok((await device.state.runCommand({ op: 'LOCAL_RUN', payload: 'locals/x' })).ok);
    let isCut = false;
    const passing = eventually('the trial holds', PATIENCE_MS, () => {
      const holds = !isCut && bootState(device).trying?.started?.heldSinceMs !== undefined;
      if (holds) device.clock.advance(TRIAL.commitDelayMs);
      return isCut || holds;
    });
    await device.until(
      async () => device.world.calls.length - from >= calls || (await progress(device, 'locals/x')) === 'UPDATED',
    );
    isCut = true;
    await (await device.boot({ cut: true })).settled;
    await passing;
    const { revision, trying } = bootState(device);
    assert.equal(revision, '0');
    if (trying === undefined) {
      await whole(device, BEFORE, '0');
      await eventually('its progress says so', PATIENCE_MS, async () =>
        /^(NEW|ERROR)$/.test(await progress(device, 'locals/x')),
      );
      return false;
    }
    // It had been committed, and is tried once more by the boot; another cut before that is over leads back.
    assert.equal(trying.revision, 'locals/x');
    await whole(device, AFTER, 'locals/x');
    await (await device.boot({ cut: true })).settled;
    await whole(device, BEFORE, '0');
    return true;
  } finally {
    await device.close();
  }
}

describe('a power cut in an update', () => {
  it('at any of its steps leaves what was committed, whole', async () => {
    let cuts = 0;
    while (!(await cutAfter(cuts))) cuts += 1;
    assert.ok(cuts >= 6, `it was over after ${cuts} steps`);
  });
});
