// Berth's services as the daemons that Pantavisor's clients know.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { curl, type Rig, startRig } from './rig.ts';

let rig: Rig;
before(async () => {
  rig = await startRig();
  const service = {
    uid: 0,
    capabilities: [],
    restarts: 0,
    last_exit: null,
    uptime_seconds: 1,
    memory_bytes: 0,
    queue_depth: 0,
  };
  rig.world.services.push(
    { ...service, name: 'log-svc', pid: 42, state: 'ready', respawn: true },
    { ...service, name: 'net-svc', pid: 0, state: 'stopped', respawn: false },
  );
});
after(() => rig.stop());

describe('ctl.daemons', () => {
  it('lists services by name, pid and whether they are kept alive', async () => {
    assert.deepEqual(JSON.parse((await curl(rig.host, '/daemons')).body), [
      { name: 'log-svc', pid: 42, respawn: true },
      { name: 'net-svc', pid: 0, respawn: false },
    ]);
  });

  it('stops and starts one', async () => {
    for (const action of ['stop', 'start']) {
      const body = JSON.stringify({ action });
      assert.equal((await curl(rig.host, '/daemons/log-svc', ['-X', 'PUT', '-d', body])).status, 200);
    }
    assert.deepEqual(rig.world.asked, ['log-svc stop', 'log-svc start']);
  });

  it('names what it does not do', async () => {
    for (const [name, body, status, text] of [
      ['nobody', '{"action":"stop"}', 404, 'Daemon not found'],
      ['ctl-svc', '{"action":"stop"}', 409, "Daemon 'ctl-svc' cannot be stopped: nobody could start it"],
      ['log-svc', '{"action":"restart"}', 400, 'Request has no known action: expected {"action":"start"} or "stop"'],
      ['log-svc', '{', 400, 'Request has invalid JSON: expected {"action":"start"} or "stop"'],
      ['log-svc', '', 400, 'Request has no data: expected {"action":"start"} or "stop"'],
    ] as const) {
      const answer = await curl(rig.host, `/daemons/${name}`, ['-X', 'PUT', '-d', body]);
      assert.deepEqual([answer.status, JSON.parse(answer.body)], [status, { Error: text }]);
    }
  });
});

describe('ctl.buildinfo', () => {
  it('is plain text that names Berth and its version', async () => {
    const { status, body, headers } = await curl(rig.host, '/buildinfo');
    assert.equal(status, 200);
    assert.match(body, /^berth \d+\.\d+\.\d+\n/);
    assert.match(headers, /Content-Type: text\/plain/);
  });
});
