// pvcontrol against a real ctl-svc, and against a server that answers whatever a test wants.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Rig, startRig } from '../ctl-svc/rig.ts';
import { containerRow } from '../ctl-svc/rows.ts';
import { bundleProgram, type Program } from './program.ts';

/** Two of them and four and a half hours: however long the tests take, it is shown as the same. */
const DAYS_AGO_MS = Date.now() - (2 * 24 + 4.5) * 3_600_000;
const DAYS_AGO = new Date(DAYS_AGO_MS).toISOString();

let program: Program;
before(async () => {
  program = await bundleProgram();
});
after(() => program.remove());

describe('pvcontrol', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['waits']);
    const stopped = containerRow('halted', { status: 'STOPPED', pid: null });
    const { network: _, ...withoutNetwork } = stopped;
    rig.world.containers = [containerRow('web', { since: DAYS_AGO }), withoutNetwork];
    rig.world.containers.push(
      containerRow('waits', { status_goal: 'READY', since: DAYS_AGO }),
      containerRow('base', { restart_policy: 'system', since: DAYS_AGO }),
    );
    rig.world.leases = [
      {
        pool: 'internal',
        container: 'web',
        interface: 'eth0',
        address: '10.0.5.2',
        mac: '02:00:0a:00:05:02',
        state: 'leased',
        sinceMs: DAYS_AGO_MS,
      },
    ];
    const pool = {
      name: 'internal',
      type: 'bridge',
      bridge: 'pvbr0',
      subnet: '10.0.5.0/24',
      gateway: '10.0.5.1',
    } as const;
    rig.world.pools = [{ ...pool, nat: true, size: 253, leased: 1 }];
    rig.world.services = [
      {
        name: 'ipam-svc',
        pid: 812,
        uid: 60802,
        capabilities: [],
        state: 'ready',
        restarts: 1,
        last_exit: { reason: 'killed by SIGKILL', last_words: '', at: '2026-01-02T03:04:05.000Z' },
        uptime_seconds: 3_700,
        memory_bytes: 12_582_912,
        queue_depth: 0,
        respawn: true,
      },
    ];
  });
  after(() => rig.stop());
  const run = (...args: string[]) => program.run('-s', rig.host, ...args);
  const onTerminal = (columns: number, ...args: string[]) =>
    program.onTerminal(columns, { NO_COLOR: '1' }, '-s', rig.host, ...args);
  const lines = (text: string): string[] => text.replaceAll('\r', '').trimEnd().split('\n');

  it('prints a table without colours into a pipe when asked to', async () => {
    const { exitCode, stdout } = await run('--table', 'ls');
    assert.equal(exitCode, 0);
    assert.match(stdout, /^NAME +GROUP/m);
    assert.ok(!stdout.includes('\u001b'));
  });

  it('refuses --json and --table together', async () => {
    const { exitCode, stderr } = await run('--json', '--table', 'ls');
    assert.equal(exitCode, 1);
    assert.match(stderr, /--json and --table exclude each other/);
  });

  it('gives a pipe the API’s own JSON and a newline', async () => {
    for (const args of [['ls'], ['containers', 'ls'], ['ls', '--json'], ['--json', 'containers', 'ls']]) {
      const { exitCode, stdout, stderr } = await run(...args);
      assert.deepEqual([exitCode, stderr], [0, '']);
      assert.equal(stdout, `${JSON.stringify(rig.world.containers)}\n`);
    }
  });

  it('gives a terminal an aligned table that fits 80 columns', async () => {
    const { exitCode, stdout } = await onTerminal(80, 'ls');
    assert.equal(exitCode, 0);
    assert.deepEqual(lines(stdout), [
      'NAME    GROUP  STATUS   GOAL     ADDRESS    PID  RESTARTS  UPTIME',
      'web     app    STARTED  STARTED  10.0.5.2  4711         0    2d4h',
      'halted  app    STOPPED  STARTED  -            -         0       -',
      ...lines(stdout).slice(3),
    ]);
    assert.ok(lines(stdout).every((line) => line.length <= 80));
  });

  it('leaves out what matters least on a narrow terminal, never a name or an address', async () => {
    const { stdout } = await onTerminal(45, 'ls');
    assert.deepEqual(lines(stdout)[0], 'NAME    STATUS   GOAL     ADDRESS   UPTIME');
    assert.ok(lines(stdout).every((line) => line.length <= 45));
  });

  it('shows JSON on a terminal when asked to', async () => {
    assert.equal(lines((await onTerminal(80, 'ls', '--json')).stdout).join(''), JSON.stringify(rig.world.containers));
  });

  it('colours a terminal, unless NO_COLOR is set, and nothing else', async () => {
    const introducer = '\u001b[';
    assert.ok((await program.onTerminal(80, {}, '-s', rig.host, 'ls')).stdout.includes(`${introducer}32mSTARTED`));
    assert.ok(!(await onTerminal(80, 'ls')).stdout.includes(introducer));
    assert.ok(!(await run('ls')).stdout.includes(introducer));
  });

  const tables: readonly (readonly [string[], string, string])[] = [
    [['groups', 'ls'], 'NAME  STATUS  GOAL     RESTART POLICY', 'root  READY   STARTED  system'],
    [
      ['ipam', 'leases'],
      'OWNER  POOL      INTERFACE  ADDRESS   MAC                STATE   SINCE',
      'web    internal  eth0       10.0.5.2  02:00:0a:00:05:02  leased   2d4h',
    ],
    [
      ['ipam', 'pools'],
      'NAME      BRIDGE  SUBNET       GATEWAY   NAT  LEASED',
      'internal  pvbr0   10.0.5.0/24  10.0.5.1  yes   1/253',
    ],
    [
      ['services'],
      'NAME      STATE  PID  RESTARTS  UPTIME    MEMORY  LAST EXIT',
      'ipam-svc  ready  812         1   1h01m  12.0 MiB  killed by SIGKILL',
    ],
  ];
  for (const [args, head, first] of tables) {
    it(`shows ${args.join(' ')} as a table`, async () => {
      const { exitCode, stdout } = await onTerminal(80, ...args);
      assert.equal(exitCode, 0);
      assert.deepEqual(lines(stdout).slice(0, 2), [head, first]);
    });
  }

  it('shows health, and ends with 75 when it is degraded', async () => {
    assert.deepEqual(await run('health'), { exitCode: 0, stdout: '{"status":"ok","reasons":[]}\n', stderr: '' });
    rig.world.reasons.set('net-svc', [{ code: 'DRIFT', subject: 'pvbr0', message: 'bridge pvbr0 was deleted' }]);
    const { exitCode, stdout } = await onTerminal(80, 'health');
    assert.equal(exitCode, 75);
    assert.deepEqual(lines(stdout), [
      'degraded',
      'SUBJECT  REASON  WHAT IT MEANS',
      'pvbr0    DRIFT   bridge pvbr0 was deleted',
    ]);
    rig.world.reasons.clear();
  });

  for (const action of ['start', 'stop', 'restart']) {
    it(`${action}s a container and says nothing about it`, async () => {
      assert.deepEqual(await run('containers', action, 'web'), { exitCode: 0, stdout: '', stderr: '' });
      assert.equal(rig.world.asked.at(-1), `web ${action}`);
    });
  }

  it('says which containers exist when one does not', async () => {
    assert.deepEqual(await run('--table', 'containers', 'stop', 'wbe'), {
      exitCode: 255,
      stdout: '',
      stderr: "pvcontrol: Container not found: 'wbe'. There are: web, halted, waits, base.\n",
    });
    assert.equal((await run('containers', 'stop', '../web')).exitCode, 255);
  });

  it('passes on what the API refuses', async () => {
    const { exitCode, stderr } = await run('--table', 'containers', 'stop', 'base');
    assert.equal(exitCode, 255);
    assert.equal(stderr, "pvcontrol: Container has restart_policy 'system' and cannot be controlled via API\n");
  });

  it('signals readiness from a container', async () => {
    assert.equal((await program.run('-s', rig.socketOf('waits'), 'signal', 'ready')).exitCode, 0);
    assert.equal(rig.world.asked.at(-1), 'waits ready');
    const { exitCode, stderr } = await run('--table', 'signal', 'ready');
    assert.deepEqual([exitCode, stderr], [255, 'pvcontrol: Signal not expected from this platform\n']);
  });
});

describe('pvcontrol exit codes', () => {
  let server: Server;
  let path: string;
  let next: readonly [number, string];
  before(async () => {
    path = join(program.folder, 'any');
    server = createServer((_request, response) => response.writeHead(next[0]).end(next[1]));
    server.listen(path);
    await once(server, 'listening');
  });
  after(() => server.close());

  const cases: readonly (readonly [number, string, number, string])[] = [
    [507, '{"Error":"Not enough disk space available"}', 48, 'Not enough disk space available'],
    [422, '{"Error":"Object has bad checksum"}', 60, 'Object has bad checksum'],
    [422, '{"Error":"State verification has failed"}', 70, 'State verification has failed'],
    [503, '{"Error":"state-svc did not answer in time; try again"}', 75, 'state-svc did not answer in time; try again'],
    [503, '', 75, 'the device is busy; try again'],
    [500, '<html>', 255, 'unexpected answer, HTTP status 500'],
    [403, '{"Error":"Request not sent from a mgmt platform"}', 255, 'Request not sent from a mgmt platform'],
    [400, '{"Error":"\\u001b[2Jgone"}', 255, '?[2Jgone'],
  ];
  for (const [status, body, exitCode, text] of cases) {
    it(`ends with ${exitCode} after ${status} ${body}`, async () => {
      next = [status, body];
      for (const args of [['ls'], ['containers', 'stop', 'web']]) {
        assert.deepEqual(await program.run('-s', path, '--table', ...args), {
          exitCode,
          stdout: '',
          stderr: `pvcontrol: ${text}\n`,
        });
      }
    });
  }
});

describe('pvcontrol without a server', () => {
  it('says where it looked', async () => {
    const { exitCode, stderr } = await program.run('-s', '/nowhere/pv-ctrl', 'ls');
    assert.equal(exitCode, 1);
    assert.match(stderr, /^pvcontrol: \/nowhere\/pv-ctrl: no such socket\./);
    const file = join(program.folder, 'file');
    writeFileSync(file, '');
    assert.match((await program.run('-s', file, 'ls')).stderr, /^pvcontrol: .*file: (nobody listens|not a socket)/);
    assert.match(
      (await program.run('-s', `/${'x'.repeat(200)}`, 'ls')).stderr,
      /: longer than the 107 bytes a socket's path may have\n$/,
    );
  });

  it('says what it expected', async () => {
    const wrong: readonly (readonly [string[], RegExp])[] = [
      [[], /^pvcontrol: a command is missing: expected one of ls, /],
      [['lss'], /^pvcontrol: unknown command 'lss': expected one of ls, /],
      [['stop', 'web'], /^pvcontrol: unknown command 'stop': expected containers stop NAME or daemons stop NAME\n/],
      [['leases'], /^pvcontrol: unknown command 'leases': expected ipam leases\n/],
      [['containers'], /^pvcontrol: containers: expected ls, start NAME, stop NAME or restart NAME\n/],
      [['containers', 'kill', 'web'], /, not 'kill'\n/],
      [['containers', 'stop'], /^pvcontrol: containers stop: the NAME of a container is missing\n/],
      [['containers', 'stop', 'a', 'b'], /containers stop takes NAME and nothing more, it got 'b' as well/],
      [['groups'], /^pvcontrol: groups: expected ls\n/],
      [['ipam', 'routes'], /^pvcontrol: ipam: expected leases or pools, not 'routes'/],
      [['signal', 'now'], /^pvcontrol: signal: expected ready or alive, not 'now'/],
      [['ls', 'web'], /^pvcontrol: ls takes nothing more, it got 'web'/],
      [['ls', '--jsn'], /^pvcontrol: Unknown option '--jsn'; options are -s PATH, -f FILE, -m MSG, -v, --json, /],
      [['ls', '-s'], /^pvcontrol: .*argument missing; options are/],
    ];
    for (const [args, message] of wrong) {
      const { exitCode, stdout, stderr } = await program.run(...args);
      assert.deepEqual([exitCode, stdout], [1, ''], args.join(' '));
      assert.match(stderr, message);
      assert.match(stderr, /\nSee pvcontrol --help\.\n$/);
    }
  });

  it('explains itself in 80 columns', async () => {
    for (const args of [['--help'], ['help'], ['-h', 'ls']]) {
      const { exitCode, stdout } = await program.run(...args);
      assert.equal(exitCode, 0);
      assert.ok(stdout.split('\n').every((line) => line.length <= 80));
    }
  });
});
