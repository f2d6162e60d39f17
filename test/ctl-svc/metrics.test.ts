// GET /metrics: what Prometheus reads, and what it costs when a service does not answer.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { metricsText } from '../../services/ctl-svc/metrics-text.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { curl, type Rig, startRig } from './rig.ts';
import { containerRow } from './rows.ts';

const hasPromtool = spawnSync('promtool', ['--version']).error === undefined;

describe('ctl.metrics', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['web', 'waits']);
    rig.world.pools = [
      {
        name: 'internal',
        type: 'bridge',
        bridge: 'pvbr0',
        subnet: '10.0.5.0/24',
        gateway: '10.0.5.1',
        nat: true,
        size: 253,
        leased: 2,
      },
    ];
    rig.world.services = [
      {
        name: 'ipam-svc',
        pid: 7,
        uid: 90_000,
        capabilities: [],
        state: 'backoff',
        respawn: true,
        restarts: 3,
        last_exit: null,
        uptime_seconds: 1.5,
        memory_bytes: 12_000_000,
        queue_depth: 4,
      },
    ];
  });
  after(() => rig.stop());
  const scrape = async (): Promise<string> => (await curl(rig.host, '/metrics')).body;
  const has = (text: string, line: string): void => assert.ok(text.split('\n').includes(line), `${line}\n${text}`);

  it('counts containers by status, leases, restarts, services and what waits for them', async () => {
    await scrape();
    rig.world.containers.push(containerRow('new "one"', { restarts: 2, status: 'RECOVERING' }));
    rig.state.publish(stateContract, 'revisionChanged', { revision: '0' });
    const text = await eventually('the new row', PATIENCE_MS, async () => {
      const now = await scrape();
      return now.includes('container="new') && now.includes('type="revision"') ? now : undefined;
    });
    for (const line of [
      '# TYPE berth_containers gauge',
      'berth_containers{status="STARTED"} 3',
      'berth_containers{status="RECOVERING"} 1',
      'berth_containers{status="STOPPED"} 0',
      'berth_container_restarts_total{container="new \\"one\\""} 2',
      'berth_pool_addresses{pool="internal"} 253',
      'berth_pool_leases{pool="internal"} 2',
      'berth_service_up{service="ipam-svc"} 0',
      'berth_service_restarts_total{service="ipam-svc"} 3',
      'berth_service_memory_bytes{service="ipam-svc"} 12000000',
      'berth_service_queue_depth{service="ipam-svc"} 4',
      'berth_source_up{service="ipam-svc"} 1',
      'berth_events_total{type="revision"} 1',
    ]) {
      has(text, line);
    }
  });

  it('counts answers by endpoint and code, whatever paths clients make up, and the bytes of uploads', async () => {
    for (const path of ['/a', '/b', '/c']) await curl(rig.host, path);
    await curl(rig.host, '/containers/nope', ['-X', 'PUT', '-d', '{"action":"stop"}']);
    await curl(rig.socketOf('waits'), '/groups');
    const content = 'x'.repeat(1000);
    const name = createHash('sha256').update(content).digest('hex');
    assert.equal((await curl(rig.host, `/objects/${name}`, ['-T', '-'], content)).status, 200);
    const text = await scrape();
    has(text, 'berth_http_requests_total{method="",path="",code="404"} 3');
    has(text, 'berth_http_requests_total{method="PUT",path="/containers/{name}",code="404"} 1');
    has(text, 'berth_http_requests_total{method="GET",path="/groups",code="403"} 1');
    has(text, 'berth_upload_bytes_total 1000');
  });

  it('leaves out what nobody answers, says so, and is no error', async () => {
    rig.world.hanging.add('ipam-svc');
    const text = await scrape();
    rig.world.hanging.clear();
    has(text, 'berth_source_up{service="ipam-svc"} 0');
    assert.doesNotMatch(text, /berth_pool/);
    has(text, 'berth_service_up{service="ipam-svc"} 0');
  });

  it('pleases promtool', { skip: !hasPromtool && 'promtool is not installed (Debian: prometheus)' }, async () => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await scrape(),
      encoding: 'utf8',
    });
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });
});

describe('ctl.metrics-text', () => {
  it('keeps quotes, backslashes and line breaks of a label within it', () => {
    const samples = [{ labels: { name: 'a"b\\c\nd' }, value: 1 }];
    const text = metricsText([{ name: 'x', type: 'gauge', help: 'h', samples }]);
    assert.equal(text, '# HELP x h\n# TYPE x gauge\nx{name="a\\"b\\\\c\\nd"} 1\n');
  });
});
