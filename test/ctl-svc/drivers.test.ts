// Drivers as clients see them: real curl, real sockets, fake services.
import assert from 'node:assert/strict';
import { after, beforeEach, describe, it } from 'node:test';
import { curl, type Rig, startRig } from './rig.ts';

const rig: Rig = await startRig(['web', 'waits']);
after(() => rig.stop());
const put = (socket: string, path: string) => curl(socket, path, ['-X', 'PUT']);
const row = (name: string) => ({ name, type: 'MANUAL', status: 'UNLOADED' }) as const;

describe('ctl.drivers', () => {
  beforeEach(() => {
    rig.world.drivers.clear();
    rig.world.driverRefusal = undefined;
    rig.world.asked.length = 0;
  });

  it('are an array of those that the caller names, and {} when there are none', async () => {
    assert.equal((await curl(rig.host, '/drivers')).body, '{}');
    rig.world.drivers.set('', [row('can'), row('wifi')]);
    rig.world.drivers.set('web', [row('wifi')]);
    assert.equal(
      (await curl(rig.host, '/drivers')).body,
      '[{"name":"can","type":"MANUAL","status":"UNLOADED"},{"name":"wifi","type":"MANUAL","status":"UNLOADED"}]',
    );
    assert.deepEqual(JSON.parse((await curl(rig.socketOf('web'), '/drivers')).body), [row('wifi')]);
  });

  it('come whole, however many there are', async () => {
    const many = Array.from({ length: 2_000 }, (_, index) => row(`driver-${String(index).padStart(50, '0')}`));
    rig.world.drivers.set('', many);
    assert.deepEqual(JSON.parse((await curl(rig.host, '/drivers')).body), many);
  });

  it('are loaded and unloaded for the caller, with an empty answer', async () => {
    for (const path of ['/drivers/load', '/drivers/unload', '/drivers/wifi/load', '/drivers/a%2Bb/unload']) {
      const { status, body } = await put(rig.host, path);
      assert.deepEqual([status, body], [200, ''], path);
    }
    await put(rig.socketOf('web'), '/drivers/wifi/load');
    assert.deepEqual(rig.world.asked, [
      'host load all',
      'host unload all',
      'host load wifi',
      'host unload a+b',
      'web load wifi',
    ]);
  });

  it('answer with modprobe’s words when it fails', async () => {
    rig.world.driverRefusal = {
      code: 'MODPROBE_FAILED',
      driver: 'wifi',
      module: 'brcmfmac',
      reason: 'Module not found',
    };
    const { status, body } = await put(rig.host, '/drivers/wifi/load');
    assert.deepEqual(
      [status, body],
      [500, '{"Error":"Driver \'wifi\' cannot be loaded: modprobe brcmfmac: Module not found"}'],
    );
  });

  it('answer 404 for a driver that does not exist, 503 while nobody can load one', async () => {
    rig.world.driverRefusal = { code: 'DRIVER_NOT_FOUND' };
    const missing = await put(rig.host, '/drivers/nosuch/unload');
    assert.deepEqual([missing.status, missing.body.includes("'nosuch' not found")], [404, true]);
    rig.world.driverRefusal = { code: 'NOT_NOW', reason: 'it restarts' };
    for (const answer of [await put(rig.host, '/drivers/load'), await curl(rig.host, '/drivers')]) {
      assert.deepEqual([answer.status, answer.body.includes('it restarts')], [503, true]);
    }
  });

  it('are for containers of role mgmt only, and take only their methods', async () => {
    for (const [method, path] of [
      ['GET', '/drivers'],
      ['PUT', '/drivers/load'],
      ['PUT', '/drivers/wifi/unload'],
    ]) {
      const { status } = await curl(rig.socketOf('waits'), path ?? '', ['-X', method ?? '']);
      assert.equal(status, 403, path);
    }
    assert.equal((await put(rig.host, '/drivers')).status, 400);
    assert.equal((await curl(rig.host, '/drivers/load')).status, 400);
    assert.equal((await put(rig.host, '/drivers/wifi/explode')).status, 404);
    assert.deepEqual(rig.world.asked, []);
  });
});
