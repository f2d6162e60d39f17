// What callers see when the services behind ctl-svc hang, die or come back.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { stateContract } from '../../services/state-svc/contract.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { newWorld } from './fake-peers.ts';
import { curl, type Rig, startRig, until } from './rig.ts';
import { containerRow, groupRow } from './rows.ts';

const stop = ['-X', 'PUT', '-d', '{"action":"stop"}'];

describe('ctl.faults', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['web']);
    await curl(rig.host, '/containers');
  });
  after(() => rig.stop());
  afterEach(() => rig.world.hanging.clear());

  it('lists containers while state-svc hangs, which it does not ask', async () => {
    rig.world.hanging.add('state-svc');
    const { status, body } = await curl(rig.host, '/containers');
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), rig.world.containers);
    assert.equal(rig.bus.broker.queueDepth('state-svc'), 0);
  });

  it('answers 503 with Retry-After and the name of a service that died over a request', async () => {
    rig.world.hanging.add('state-svc');
    const answer = curl(rig.host, '/containers/web', stop);
    await until(() => rig.bus.broker.queueDepth('state-svc') > 0);
    rig.bus.kill('state-svc');
    const { status, headers, body } = await answer;
    assert.equal(status, 503);
    assert.match(headers, /^retry-after: 1\r?$/im);
    assert.match(body, /^\{"Error":"state-svc ended before it answered/);
    assert.equal((await curl(rig.host, '/containers')).status, 200);
    rig.world.hanging.clear();
    rig.restartState();
  });

  it('tells every other request while one waits for a hanging service', async () => {
    rig.world.hanging.add('ipam-svc');
    const leases = curl(rig.host, '/ipam/leases');
    await until(() => rig.bus.broker.queueDepth('ipam-svc') > 0);
    assert.equal((await curl(rig.host, '/groups')).status, 200);
    const { status, body } = await leases;
    assert.equal(status, 503);
    assert.match(body, /^\{"Error":"ipam-svc did not answer in time/);
  });

  it('takes the call back when the client hangs up', async () => {
    rig.world.hanging.add('state-svc');
    const head = 'PUT /containers/web HTTP/1.1\r\nContent-Length: 17\r\n\r\n';
    const ask = () => {
      const client = connect(rig.host, () => client.write(`${head}{"action":"stop"}`));
      return client;
    };
    // What was asked before it and waits on shows that it was no deadline.
    const waits = ask();
    await until(() => rig.bus.broker.queueDepth('state-svc') === 1);
    const leaves = ask();
    await until(() => rig.bus.broker.queueDepth('state-svc') === 2);
    leaves.destroy();
    await until(() => rig.bus.broker.queueDepth('state-svc') === 1);
    assert.equal(waits.bytesRead, 0);
    waits.destroy();
    await until(() => rig.bus.broker.queueDepth('state-svc') === 0);
  });

  it('follows events, another revision, and a state-svc that came back', async () => {
    const listed = async (): Promise<unknown> => JSON.parse((await curl(rig.host, '/containers')).body);
    const shows = (expected: unknown) => until(async () => JSON.stringify(await listed()) === JSON.stringify(expected));
    const stopped = containerRow('web', { roles: ['mgmt'], status: 'STOPPED', pid: null });
    rig.world.containers = rig.world.containers.map((row) => (row.name === 'web' ? stopped : row));
    rig.state.publish(stateContract, 'containerChanged', { container: stopped });
    await shows(rig.world.containers);
    rig.world.containers = [containerRow('new')];
    rig.state.publish(stateContract, 'revisionChanged', { revision: '1' });
    await shows(rig.world.containers);
    rig.bus.kill('state-svc');
    rig.world.containers = [containerRow('newer')];
    rig.world.groups = [groupRow('other')];
    rig.restartState();
    rig.supervisor.publish(supervisorContract, 'serviceChanged', {
      service: 'state-svc',
      state: 'ready',
      reason: '',
      atMs: 0,
    });
    await shows(rig.world.containers);
    assert.deepEqual(JSON.parse((await curl(rig.host, '/groups')).body), rig.world.groups);
  });

  it('collects the reasons of all services, and counts silence as one', async () => {
    assert.deepEqual(JSON.parse((await curl(rig.host, '/health')).body), { status: 'ok', reasons: [] });
    const reason = { code: 'POOL_EXHAUSTED', subject: 'internal', message: 'pool internal is full' };
    rig.world.reasons.set('ipam-svc', [reason]);
    rig.world.hanging.add('net-svc');
    const { status, body } = await curl(rig.host, '/health');
    assert.equal(status, 503);
    assert.deepEqual(JSON.parse(body), {
      status: 'degraded',
      reasons: [
        {
          code: 'SERVICE_SILENT',
          subject: 'net-svc',
          message: 'net-svc does not say how it is (TIMEOUT); GET /services shows its state and last exit',
        },
        reason,
      ],
    });
    rig.world.reasons.clear();
  });
});

describe('ctl.start', () => {
  it('waits for its first list, then says who did not send it, also to containers, which may do nothing until then', async () => {
    const world = newWorld();
    world.hanging.add('state-svc');
    const rig = await startRig(['web', 'waits'], world);
    try {
      const answers = await Promise.all([
        curl(rig.host, '/containers'),
        curl(rig.socketOf('web'), '/containers'),
        curl(rig.socketOf('web'), '/containers/web', stop),
        curl(rig.socketOf('waits'), '/services'),
      ]);
      for (const { status, headers, body } of answers) {
        assert.equal(status, 503);
        assert.match(headers, /^retry-after: 1\r?$/im);
        assert.match(body, /^\{"Error":"state-svc has not said yet/);
      }
      world.hanging.clear();
      await until(async () => (await curl(rig.host, '/containers')).status === 200);
      assert.equal((await curl(rig.socketOf('web'), '/containers')).status, 200);
      assert.equal((await curl(rig.socketOf('waits'), '/services')).status, 403);
    } finally {
      rig.stop();
    }
  });
});
