// More containers than requests that may be under way to one service: whatever is done to all of them at once is done to each.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Device } from './device.ts';
import { APP, FAILED, RETRY, useDevices } from './kit.ts';
import { command, install, progressOf, TESTING_LIVE } from './updates-kit.ts';

const open = useDevices();

const NAMES = Array.from({ length: 300 }, (_, index) => `c${index}`).sort();
const all = (spec: object) => Object.fromEntries(NAMES.map((name) => [name, { ...APP, ...spec }]));
const untilAll = (it: Device, status: string) =>
  it.until(async () => Object.values(await it.rows()).every((row) => row.status === status));
const overloaded = ({ lines }: Device) => lines.filter((line) => line.includes('OVERLOADED'));

async function boot(spec: object = {}): Promise<Device> {
  const it = await open(all(spec), {});
  await it.boot();
  await untilAll(it, 'STARTED');
  return it;
}

describe('hundreds of containers', () => {
  it('are stopped and started by an update that changes all of them', async () => {
    const it = await boot();
    await install(it, 'locals/x', all({ logs: [] }));
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    // As long as it takes: so many are slow on a machine that is busy.
    await it.until(async () => (await progressOf(it, 'locals/x'))['status-msg'] === TESTING_LIVE);
    await untilAll(it, 'STARTED');
    assert.deepEqual(overloaded(it), []);
    assert.ok([...it.world.containers.values()].every(({ revision }) => revision === 'locals/x'));
  });

  it('are stopped and started by the user one right after the other', async () => {
    const it = await boot();
    for (const [action, status] of [
      ['stop', 'STOPPED'],
      ['start', 'STARTED'],
    ] as const) {
      // By the two sockets that there are: one asker alone has its own limit.
      for (const names of [NAMES.slice(0, 150), NAMES.slice(150)]) {
        const answers = await Promise.all(names.map((container) => it.state.controlContainer({ container, action })));
        assert.ok(answers.every(({ ok }) => ok));
      }
      await untilAll(it, status);
    }
    assert.deepEqual(overloaded(it), []);
  });

  it('recover that fail in the same moment', async () => {
    const it = await boot({ auto_recovery: RETRY });
    for (const name of NAMES) it.world.exit(name, FAILED);
    await untilAll(it, 'RECOVERING');
    it.clock.advance(RETRY.retry_delay * 1000);
    await untilAll(it, 'STARTED');
    assert.deepEqual(overloaded(it), []);
  });
});
