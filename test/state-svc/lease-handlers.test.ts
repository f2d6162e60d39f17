// Leases that an operator gives back: never those of a container that runs or is about to.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { APP, POOLED, useDevices } from './kit.ts';

const open = useDevices();

describe('releaseLeases', () => {
  it('gives back those of a stopped container only, which gets another when it starts', async () => {
    const device = await open({ web: { ...APP, ...POOLED } });
    await device.boot();
    await device.untilStatus('web', 'STARTED');
    const ask = () => device.state.releaseLeases({ pool: 'internal', container: 'web' });
    assert.deepEqual(await ask(), { ok: false, error: { code: 'NOT_STOPPED', status: 'STARTED' } });
    const release = device.world.hold('lxc.stop');
    await device.state.controlContainer({ container: 'web', action: 'stop' });
    assert.deepEqual(await ask(), { ok: false, error: { code: 'NOT_STOPPED', status: 'STOPPING' } });
    release();
    await device.untilStatus('web', 'STOPPED');
    assert.equal((await device.rows()).web?.network?.interfaces[0]?.ipv4, '10.0.5.2/24');
    assert.deepEqual(await ask(), { ok: true, value: { released: 1 } });
    assert.deepEqual(await ask(), { ok: false, error: { code: 'NO_LEASE' } });
    assert.equal((await device.rows()).web?.network, undefined, 'it shows an address that it has not');
    await device.state.controlContainer({ container: 'web', action: 'start' });
    await device.untilStatus('web', 'STARTED');
    assert.deepEqual(await ask(), { ok: false, error: { code: 'NOT_STOPPED', status: 'STARTED' } });
  });

  it('lets a start that is asked for at the same time have its lease', async () => {
    const device = await open({ web: { ...APP, ...POOLED } });
    await device.boot();
    await device.untilStatus('web', 'STARTED');
    await device.state.controlContainer({ container: 'web', action: 'stop' });
    await device.untilStatus('web', 'STOPPED');
    const released = device.state.releaseLeases({ pool: 'internal', container: 'web' });
    const started = device.state.controlContainer({ container: 'web', action: 'start' });
    await Promise.all([released, started]);
    await device.untilStatus('web', 'STARTED');
    assert.deepEqual(await device.state.releaseLeases({ pool: 'internal', container: 'web' }), {
      ok: false,
      error: { code: 'NOT_STOPPED', status: 'STARTED' },
    });
  });

  it('knows no lease of another pool or container', async () => {
    const device = await open({ web: { ...APP, ...POOLED } });
    await device.boot();
    await device.untilStatus('web', 'STARTED');
    for (const [pool, container] of [
      ['other', 'web'],
      ['internal', 'nope'],
    ] as const) {
      assert.deepEqual(await device.state.releaseLeases({ pool, container }), {
        ok: false,
        error: { code: 'NO_LEASE' },
      });
    }
  });
});
