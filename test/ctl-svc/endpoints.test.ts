// The endpoints as a client sees them: real curl, real sockets, fake services.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ENDPOINTS } from '../../services/ctl-svc/endpoints.ts';
import { curl, type Rig, startRig } from './rig.ts';
import { containerRow } from './rows.ts';

const put = (body: string): string[] => ['-X', 'PUT', '-H', 'Content-Type: application/json', '-d', body];
const error = (text: string): string => `{"Error":${JSON.stringify(text)}}`;

describe('ctl.endpoints', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['waits', 'web']);
  });
  after(() => rig.stop());

  it('lists containers with every field of the stock runtime, in its order, and ours after them', async () => {
    const { status, headers, body } = await curl(rig.host, '/containers');
    assert.equal(status, 200);
    assert.match(headers, /content-type: application\/json\r?$/im);
    assert.deepEqual(JSON.parse(body), rig.world.containers);
    const recovering = containerRow('c01', {
      auto_recovery: {
        policy: 'on-failure',
        max_retries: 5,
        current_retries: 0,
        stable_timeout: 30,
        is_stable: 'true',
        backoff_policy: 'reboot',
      },
    });
    const stock = [
      'name',
      'group',
      'status',
      'status_goal',
      'restart_policy',
      'roles',
      'auto_recovery',
      'user_stopped',
    ];
    const answer = ENDPOINTS.find(({ path }) => path === '/containers')?.answer?.parse([recovering]);
    assert.ok(Array.isArray(answer));
    assert.deepEqual(Object.keys(answer[0]).slice(0, stock.length), stock);
  });

  it('answers every GET with what its own declaration says', async () => {
    rig.world.pools = [
      {
        name: 'internal',
        type: 'bridge',
        bridge: 'pvbr0',
        subnet: '10.0.5.0/24',
        gateway: '10.0.5.1',
        nat: true,
        size: 253,
        leased: 1,
      },
    ];
    // Streams, texts, and what has a name in its path, have tests of their own.
    const plain = ENDPOINTS.filter(({ path, answer }) => answer !== undefined && !path.includes('{'));
    for (const { method, path, answer } of plain.filter((endpoint) => endpoint.method === 'GET')) {
      const { status, body } = await curl(rig.host, path);
      assert.equal(status, 200, `${method} ${path}`);
      assert.ok(answer?.safeParse(JSON.parse(body)).success, `${method} ${path}: ${body}`);
    }
  });

  it('shows one container with its namespace and mounts, and 404 for none', async () => {
    const shown = JSON.parse((await curl(rig.host, '/containers/web')).body);
    const mounts = [{ target: '/run/lxc/web/rootfs', type: 'overlay', source: 'overlay' }];
    assert.deepEqual(shown, { ...rig.world.containers[0], netns: '/run/netns/web', mounts });
    assert.equal((await curl(rig.host, '/containers/none')).status, 404);
  });

  it('lists groups as state-svc has them', async () => {
    assert.deepEqual(JSON.parse((await curl(rig.host, '/groups')).body), rig.world.groups);
  });

  for (const action of ['start', 'stop', 'restart']) {
    it(`accepts ${action} with an empty body`, async () => {
      const { status, body } = await curl(rig.host, '/containers/web', put(`{"action":"${action}"}`));
      assert.deepEqual([status, body], [200, '']);
      assert.equal(rig.world.asked.at(-1), `web ${action}`);
    });
  }

  const refused: readonly (readonly [string, string, string, number, string])[] = [
    ['an unknown container', '/containers/nope', '{"action":"stop"}', 404, 'Container not found'],
    ['a name that is none', '/containers/..%2fweb', '{"action":"stop"}', 404, 'Container not found'],
    ['a NUL in the name', '/containers/web%00', '{"action":"stop"}', 404, 'Container not found'],
    [
      'a container of the system',
      '/containers/base',
      '{"action":"stop"}',
      403,
      "Container has restart_policy 'system' and cannot be controlled via API",
    ],
    ['no data', '/containers/web', '', 400, 'Request has no data: expected {"action":"start"}, "stop" or "restart"'],
    [
      'invalid JSON',
      '/containers/web',
      '{"action":',
      400,
      'Request has invalid JSON: expected {"action":"start"}, "stop" or "restart"',
    ],
    [
      'no action',
      '/containers/web',
      '{"act":"stop"}',
      400,
      'Request has no action: expected {"action":"start"}, "stop" or "restart"',
    ],
    [
      'an action of the wrong type',
      '/containers/web',
      '{"action":1}',
      400,
      'Request has no action: expected {"action":"start"}, "stop" or "restart"',
    ],
    [
      'an array',
      '/containers/web',
      '[]',
      400,
      'Request has no action: expected {"action":"start"}, "stop" or "restart"',
    ],
    [
      'an unknown action',
      '/containers/web',
      '{"action":"explode"}',
      400,
      'Action \'explode\' is unknown: expected {"action":"start"}, "stop" or "restart"',
    ],
  ];
  for (const [what, path, body, status, text] of refused) {
    it(`answers ${status} to PUT /containers/{name} with ${what}`, async () => {
      const asked = rig.world.asked.length;
      const answer = await curl(rig.host, path, put(body));
      assert.deepEqual([answer.status, answer.body], [status, error(text)]);
      assert.match(answer.headers, /content-type: application\/json\r?$/im);
      assert.equal(rig.world.asked.length, asked);
    });
  }

  it('answers 400 with the status when it does not allow the action', async () => {
    rig.world.containers.push(containerRow('later', { status: 'BLOCKED' }));
    const { status, body } = await curl(rig.host, '/containers/later', put('{"action":"start"}'));
    assert.equal(status, 400);
    assert.match(body, /^\{"Error":"Cannot start container 'later' in status BLOCKED: /);
  });

  it('passes the READY signal of a container on, known by its socket', async () => {
    const ready = ['-d', '{"type":"ready","payload":""}'];
    assert.deepEqual(await statusAndBody(rig.socketOf('waits'), ready), [200, '']);
    assert.equal(rig.world.asked.at(-1), 'waits ready');
    const unexpected = error('Signal not expected from this platform');
    assert.deepEqual(await statusAndBody(rig.socketOf('web'), ready), [500, unexpected]);
    assert.deepEqual(await statusAndBody(rig.host, ready), [500, unexpected]);
  });

  it('tells a malformed signal (400) from an unknown one (500)', async () => {
    for (const malformed of ['', '{', '{"payload":""}', '{"type":7}', '"ready"']) {
      assert.deepEqual(await statusAndBody(rig.socketOf('waits'), ['-X', 'POST', '-d', malformed]), [
        400,
        error('Signal has bad format'),
      ]);
    }
    const [status, body] = await statusAndBody(rig.socketOf('waits'), ['-d', '{"type":"alive","payload":""}']);
    assert.equal(status, 500);
    assert.equal(body, error("Signal type 'alive' is unknown: expected 'ready'"));
  });

  it('answers 400 to methods that a path does not support, 404 to unknown paths', async () => {
    for (const [method, path] of [
      ['POST', '/containers'],
      ['DELETE', '/containers/web'],
      ['OPTIONS', '/groups'],
      ['GET', '/signal'],
      ['PATCH', '/health'],
    ] as const) {
      const answer = await curl(rig.host, path, ['-X', method]);
      assert.deepEqual([answer.status, answer.body], [400, error('Method not supported for this endpoint')], path);
    }
    const head = await curl(rig.host, '/containers', ['-I']);
    assert.deepEqual([head.status, head.body], [400, '']);
    for (const path of ['/', '/nope', '/containers/', '//containers', '/containers/web/x', '/%2e']) {
      assert.equal((await curl(rig.host, path, ['-g'])).status, 404, path);
    }
  });

  it('takes a query, an absolute request target and an encoded name', async () => {
    assert.equal((await curl(rig.host, '/containers?x=/groups')).status, 200);
    assert.equal((await curl(rig.host, '', ['--request-target', 'http://localhost/groups'])).status, 200);
    assert.equal((await curl(rig.host, '/containers/%77eb', put('{"action":"stop"}'))).status, 200);
  });

  it('joins all pages of leases and writes their time as RFC 3339', async () => {
    rig.world.leases = Array.from({ length: 450 }, (_, index) => ({
      pool: 'internal',
      container: `c${index}`,
      interface: 'eth0',
      address: `10.0.${index >> 8}.${index & 255}`,
      mac: '02:00:0a:00:05:02',
      state: 'leased' as const,
      sinceMs: 1_767_323_045_000,
    }));
    const rows: unknown = JSON.parse((await curl(rig.host, '/ipam/leases')).body);
    assert.ok(Array.isArray(rows));
    assert.equal(rows.length, 450);
    assert.deepEqual(rows[449], {
      owner: 'c449',
      pool: 'internal',
      interface: 'eth0',
      address: '10.0.1.193',
      mac: '02:00:0a:00:05:02',
      state: 'leased',
      since: '2026-01-02T03:04:05.000Z',
    });
  });

  async function statusAndBody(socket: string, args: readonly string[]): Promise<[number, string]> {
    const answer = await curl(socket, '/signal', args);
    return [answer.status, answer.body];
  }
});
