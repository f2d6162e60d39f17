// Who may what, by the socket a request came in on; and how sockets come and go.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { ENDPOINTS } from '../../services/ctl-svc/endpoints.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { curl, parseAnswer, type Rig, sendRaw, startRig, until } from './rig.ts';
import { containerRow } from './rows.ts';

const FORBIDDEN = '{"Error":"Request not sent from a mgmt platform"}';

describe('ctl.roles', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['web', 'base', 'stranger']);
  });
  after(() => rig.stop());

  const everything = [
    ['GET', '/containers'],
    ['PUT', '/containers/web'],
    ['GET', '/groups'],
    ['GET', '/services'],
    ['GET', '/ipam/leases'],
    ['GET', '/ipam/pools'],
    ['GET', '/health'],
    ['GET', '/signal'],
    ['DELETE', '/signal'],
    ['POST', '/containers'],
    ['GET', '/'],
    ['GET', '/nope'],
    ['POST', '/signal/'],
    ['OPTIONS', '/containers'],
    ['BREW', '/signal'],
  ] as const;
  for (const [method, path] of everything) {
    // curl speaks methods it does not know; Node's parser does not, and says so before anybody is asked.
    const expected = method === 'BREW' ? [400, '{"Error":"Request is not valid HTTP/1.1"}'] : [403, FORBIDDEN];
    it(`answers ${expected[0]} to ${method} ${path} of a container without role mgmt`, async () => {
      for (const container of ['base', 'stranger']) {
        const answer = await curl(rig.socketOf(container), path, ['-X', method, '-d', '{"action":"stop"}']);
        assert.deepEqual([answer.status, answer.body], expected);
      }
      assert.deepEqual(rig.world.asked, []);
    });
  }

  it('answers 403 at every endpoint that does not say it is for everyone', async () => {
    const open: string[] = [];
    for (const { method, path } of ENDPOINTS) {
      const asked = path.replaceAll(/\{\w+\}/g, 'web');
      const answer = await curl(rig.socketOf('stranger'), asked, ['-X', method, '-d', '{}']);
      if (answer.status !== 403 || answer.body !== FORBIDDEN) open.push(`${method} ${path}`);
    }
    assert.deepEqual(open, ['POST /signal']);
  });

  it('believes the socket, not a header', async () => {
    const claims = [
      '-H',
      'X-Container: web',
      '-H',
      'Host: web',
      '-H',
      'X-Role: mgmt',
      '-H',
      'Authorization: Basic cm9vdDo=',
    ];
    assert.equal((await curl(rig.socketOf('base'), '/containers', claims)).status, 403);
  });

  it('answers a container of role mgmt like the host', async () => {
    assert.equal((await curl(rig.socketOf('web'), '/containers')).body, (await curl(rig.host, '/containers')).body);
    const stop = await curl(rig.socketOf('web'), '/containers/waits', ['-X', 'PUT', '-d', '{"action":"stop"}']);
    assert.equal(stop.status, 200);
  });

  it('follows a change of roles', async () => {
    rig.state.publish(stateContract, 'containerChanged', { container: containerRow('base', { roles: ['mgmt'] }) });
    await until(async () => (await curl(rig.socketOf('base'), '/groups')).status === 200);
    rig.state.publish(stateContract, 'containerChanged', { container: containerRow('base') });
    await until(async () => (await curl(rig.socketOf('base'), '/groups')).status === 403);
  });

  const connects = 'CONNECT a:1 HTTP/1.1\r\n\r\n';
  const expects = 'GET /containers HTTP/1.1\r\nExpect: a miracle\r\nConnection: close\r\n\r\n';
  const unusual: readonly (readonly [string, string, number, string])[] = [
    ['CONNECT', connects, 404, `{"Error":"Path 'a:1' not found"}`],
    ['an expectation that nobody knows', expects, 417, '{"Error":"Expectation not supported"}'],
  ];
  for (const [what, bytes, status, text] of unusual) {
    it(`asks for the rights before it refuses ${what}, counts it, and hangs up`, async () => {
      const refused = async (code: number): Promise<number> => {
        const { body } = await curl(rig.host, '/metrics');
        const lines = body.split('\n').filter((line) => line.includes(`code="${code}"`));
        return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
      };
      for (const [socket, expected] of [
        [rig.socketOf('base'), [403, FORBIDDEN]],
        [rig.socketOf('web'), [status, text]],
        [rig.host, [status, text]],
      ] as const) {
        const before = await refused(Number(expected[0]));
        const answer = parseAnswer(await sendRaw(socket, bytes));
        assert.deepEqual([answer.status, answer.body], expected);
        assert.match(answer.headers, /^connection: close$/im);
        assert.equal(await refused(Number(expected[0])), before + 1);
      }
    });
  }

  it('survives who sends a CONNECT and is gone', async () => {
    for (const socket of [rig.host, rig.socketOf('base')]) {
      const gone = connect(socket);
      gone.write(connects, () => gone.destroy());
      await once(gone, 'close');
    }
    assert.equal((await curl(rig.host, '/groups')).status, 200);
  });

  it('answers a CONNECT behind a request that has its answer', async () => {
    for (const socket of [rig.host, rig.socketOf('web')]) {
      const client = connect(socket).setEncoding('latin1');
      let text = '';
      client.on('data', (chunk: string) => {
        text += chunk;
      });
      client.write('GET /nope HTTP/1.1\r\nConnection: keep-alive\r\n\r\n');
      await until(() => text.endsWith('}'));
      client.write(connects);
      await once(client, 'close');
      assert.match(text, /'\/nope' not found.*'a:1' not found/s);
    }
  });

  it('answers nothing to a CONNECT behind a request that has no answer yet, and hangs up; that of a container waits', async () => {
    for (const [socket, waits] of [
      [rig.host, false],
      [rig.socketOf('web'), true],
    ] as const) {
      const put = 'PUT /containers/web HTTP/1.1\r\nContent-Length: 2\r\n\r\n';
      const answers = await sendRaw(socket, `${put}{}${connects}`);
      assert.equal(/HTTP\/1\.1 400.*'a:1' not found/s.test(answers), waits, answers);
      assert.equal((await curl(socket, '/groups')).status, 200);
    }
  });
});

describe('ctl.control sockets', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig();
  });
  after(() => rig.stop());
  const answers = (container: string): Promise<boolean> =>
    curl(rig.socketOf(container), '/nope').then(
      () => true,
      () => false,
    );

  it('serves a socket as soon as it is opened, and refuses connections once it is closed', async () => {
    const socket = rig.openSocket('web');
    await until(() => answers('web'));
    rig.supervisor.publish(supervisorContract, 'controlSocketClosed', { container: 'web' });
    await until(async () => !(await answers('web')));
    rig.supervisor.publish(supervisorContract, 'controlSocketOpened', socket);
    await until(() => answers('web'));
  });

  it('hangs up on whoever is connected to a socket that is closed, and on nobody else', async () => {
    rig.openSocket('leaves');
    rig.openSocket('stays');
    const begun = 'GET /containers HTTP/1.1\r\n';
    await until(async () => (await answers('leaves')) && (await answers('stays')));
    const [leaving, silent, staying, host] = ['leaves', 'leaves', 'stays', undefined].map((name) =>
      connect(name === undefined ? rig.host : rig.socketOf(name)),
    );
    if (leaving === undefined || silent === undefined || staying === undefined || host === undefined) return;
    for (const client of [leaving, staying, host]) client.write(begun);
    // Answered by the same turns of ctl-svc as these, and after them.
    assert.ok(await answers('leaves'));
    rig.supervisor.publish(supervisorContract, 'controlSocketClosed', { container: 'leaves' });
    await Promise.all([leaving, silent].map((client) => once(client, 'close')));
    for (const [client, status] of [
      [staying, 403],
      [host, 200],
    ] as const) {
      client.setEncoding('latin1');
      client.end('Connection: close\r\n\r\n');
      const [text] = await once(client, 'data');
      assert.equal(parseAnswer(text).status, status);
    }
  });

  it('never serves one descriptor for two containers', async () => {
    const socket = rig.openSocket('waits');
    await until(() => answers('waits'));
    rig.supervisor.publish(supervisorContract, 'controlSocketOpened', { container: 'web', fd: socket.fd });
    rig.openSocket('later');
    await until(() => answers('later'));
    assert.equal((await curl(rig.socketOf('waits'), '/containers')).status, 403);
  });

  it('survives a descriptor that is no socket', async () => {
    rig.supervisor.publish(supervisorContract, 'controlSocketOpened', { container: 'ghost', fd: 999 });
    rig.openSocket('after-ghost');
    await until(() => answers('after-ghost'));
    assert.equal((await curl(rig.host, '/containers')).status, 200);
  });
});
