// Leases that are given back over the API, and leases as events.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { curl, type Rig, startRig } from './rig.ts';
import { containerRow } from './rows.ts';

const lease = (container: string, name = 'eth0') => ({
  pool: 'internal',
  container,
  interface: name,
  address: '10.0.5.2',
  mac: '02:00:0a:00:05:02',
  state: 'leased' as const,
  sinceMs: 0,
});

describe('ctl DELETE /ipam/leases/{pool}/{container}', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['waits']);
    rig.world.containers.push(containerRow('asleep', { status: 'STOPPED' }));
    rig.world.leases = [lease('web'), lease('asleep'), lease('asleep', 'eth1'), lease('gone')];
  });
  after(() => rig.stop());
  const remove = (path: string, socket = rig.host) => curl(socket, `/ipam/leases/${path}`, ['-X', 'DELETE']);

  it('gives back all that a stopped container has there, or one that is in no revision', async () => {
    for (const container of ['asleep', 'gone']) {
      const { status, body } = await remove(`internal/${container}`);
      assert.deepEqual([status, body], [200, '']);
    }
    assert.deepEqual(
      rig.world.leases.map(({ container }) => container),
      ['web'],
    );
  });

  it('refuses while the container runs, and says the way out', async () => {
    const { status, body } = await remove('internal/web');
    const text = "Container 'web' is STARTED: its leases are given back only while it is STOPPED; stop it first";
    assert.deepEqual([status, body], [409, JSON.stringify({ Error: text })]);
    assert.equal(rig.world.leases.length, 1);
  });

  it('answers 404 where there is none, whatever the names look like', async () => {
    for (const path of ['internal/nope', 'nope/web', '..%2f/web', 'internal/%00', `internal/${'x'.repeat(300)}`]) {
      const { status, body } = await remove(path);
      assert.equal(status, 404, path);
      assert.match(body, /has no lease in pool/);
    }
  });

  it('is not for containers without role mgmt', async () => {
    assert.equal((await remove('internal/waits', rig.socketOf('waits'))).status, 403);
  });
});
