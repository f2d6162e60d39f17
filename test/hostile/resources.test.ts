// What a container with root inside and no role tries on the device itself: its socket, logs, processes, memory.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ENDPOINTS } from '../../services/ctl-svc/endpoints.ts';
import { ask, containerRows, get, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { attached, PATIENCE_MS } from '../kit/tree.ts';
import { type HostileWorld, MAX_BYTES, MAX_PIDS, openHostileWorld } from './world.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Of a shell or nsenter for what SIGKILL ended. */
const KILLED = 137;
const REFUSED = { status: 403, body: '{"Error":"Request not sent from a mgmt platform"}' };

describe('hostile.resources', () => {
  let world: HostileWorld;
  before(async () => {
    world = await openHostileWorld();
    world.served(1);
  });
  after(() => world.close());

  /** Everything that its neighbours rely on; no service had to be restarted. */
  const allIsWell = async (): Promise<void> => {
    world.served(3);
    const { tree } = world;
    const rows = await get(tree.socket, '/containers', containerRows);
    for (const name of ['victim', 'friend']) {
      const row = rows.find((each) => each.name === name);
      assert.deepEqual([row?.status, row?.pid, row?.restarts], ['STARTED', world.pidOf(name), 0], name);
    }
    const services = await get(tree.socket, '/services', serviceRows);
    assert.deepEqual(
      services.filter(({ restarts }) => restarts > 0),
      [],
    );
  };

  it('refuses every endpoint but the container’s own signal on its socket', async () => {
    for (const { method, path } of ENDPOINTS) {
      if (path === '/signal') continue;
      const target = path.replaceAll(/\{[^}]+\}/g, 'victim');
      const body = method === 'GET' || method === 'DELETE' ? undefined : { action: 'stop' };
      assert.deepEqual(await ask(world.evilSocket, method, target, body), REFUSED, `${method} ${target}`);
    }
    await allIsWell();
  });

  it('answers the host while the container floods its socket over all the connections that it may have', async () => {
    const target = join(ROOT, 'scripts/bench/api-target.ts');
    const flooder = fork(target, ['flood', world.evilSocket], { execArgv: ['--import', 'tsx'] });
    try {
      await once(flooder, 'message');
      const refused = async (): Promise<number> => {
        const { body } = await ask(world.tree.socket, 'GET', '/metrics');
        const counts = [...body.matchAll(/^berth_\w+_total\{[^}]*code="403"[^}]*\} (\d+)/gm)];
        return counts.reduce((sum, [, count]) => sum + Number(count), 0);
      };
      const before = await refused();
      await eventually('the flood', PATIENCE_MS, async () => (await refused()) > before + 1_000);
      await allIsWell();
    } finally {
      flooder.kill('SIGKILL');
      await once(flooder, 'exit');
    }
    await allIsWell();
  });

  it('goes on to take neighbours’ logs while the container floods its own', async () => {
    const flood = world.evilFor(6, 'while :; do yes flooded | head -n 100000; done >/dev/console');
    const syslog = world.evilFor(6, 'while :; do logger -t flood flooded; done');
    await eventually('the flood', PATIENCE_MS, () => world.tree.readLog('evil/lxc/console.log').length > 100_000);
    world.tree.inside(attached(world.tree, 'victim', ['/bin/sh', '-c', 'echo a word of the victim >/dev/console']));
    await eventually('the victim’s word', PATIENCE_MS, () =>
      world.tree.readLog('victim/lxc/console.log').includes('a word of the victim'),
    );
    await Promise.all([flood, syslog]);
    await allIsWell();
  });

  it('holds memory to the container’s limit: the kernel ends what is in it, and nothing else', async () => {
    // Eats what it reads until its end, of which there is none.
    const { status, stderr } = world.evil('tail /dev/zero');
    assert.equal(status, KILLED, stderr);
    await allIsWell();
  });

  it('lets no user of the host run what the container made setuid root', () => {
    assert.equal(world.evil('cp /bin/busybox /tmp/bin/mine && chmod 4755 /tmp/bin/mine').status, 0);
    const { tree } = world;
    const program = `${tree.rundir}/lxc/evil/rootfs/tmp/bin/mine`;
    assert.equal(tree.inside(['test', '-u', program]).status, 0, 'it is not there');
    // By a shell: setpriv itself still has root's capabilities when it looks for a program.
    const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'sh', '-c'];
    assert.match(tree.inside([...user, `${program} true`]).stderr, /Permission denied/);
  });

  it('lets the container not raise its own limits', () => {
    assert.deepEqual([limitOf('memory'), limitOf('pids')], [MAX_BYTES, MAX_PIDS]);
    const limits = 'find / -name pids.max -o -name memory.max -o -name memory.limit_in_bytes';
    world.evil(`for file in $(${limits} 2>/dev/null); do for all in -1 max; do echo $all >$file; done; done`);
    assert.deepEqual([limitOf('memory'), limitOf('pids')], [MAX_BYTES, MAX_PIDS]);
    const tried = world.evil('mount -t cgroup2 none /tmp/bin || mount -t cgroup -o pids none /tmp/bin');
    assert.notEqual(tried.status, 0, tried.stdout);
    assert.match(tried.stderr, /permission denied|not permitted/i);
  });

  // Last: what is left in it is nobody's any more.
  it('holds a fork bomb to the container’s limit of processes', async () => {
    void world.evilFor(600, 'b() { b | b & sleep 600; }; b');
    await eventually('the limit', PATIENCE_MS, () => {
      // Shells end when they cannot fork; these take the places that become free.
      world.evil('exec >/dev/null 2>&1 </dev/null; while :; do sleep 600 & done');
      return processes() >= MAX_PIDS - 5;
    });
    assert.ok(processes() <= MAX_PIDS, `${processes()} processes`);
    await allIsWell();
  });

  it('stops it, whatever it is doing', async () => {
    assert.ok(processes() >= MAX_PIDS / 2, 'the bomb is over');
    assert.equal((await ask(world.tree.socket, 'PUT', '/containers/evil', { action: 'stop' })).status, 200);
    await eventually('it is stopped', PATIENCE_MS, async () => {
      const rows = await get(world.tree.socket, '/containers', containerRows);
      return rows.find(({ name }) => name === 'evil')?.status === 'STOPPED';
    });
    await allIsWell();
  });

  /** What holds for its processes: the least of their control group and all above it. */
  const limitOf = (controller: 'memory' | 'pids'): number => {
    const files = { memory: ['memory.max', 'memory.limit_in_bytes'], pids: ['pids.max'] }[controller];
    const groups = world.tree.inside(['cat', `/proc/${world.pidOf('evil')}/cgroup`]).stdout;
    const path =
      new RegExp(`^\\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, 'm').exec(groups)?.[1] ??
      /^0::(.*)$/m.exec(groups)?.[1];
    const folders = (path ?? '').split('/').map((_, at, all) => all.slice(0, at + 1).join('/'));
    const roots = [`/sys/fs/cgroup/${controller}`, '/sys/fs/cgroup'];
    const candidates = roots.flatMap((root) => folders.flatMap((at) => files.map((file) => `${root}${at}/${file}`)));
    const { stdout } = world.tree.inside(['sh', '-c', `cat ${candidates.join(' ')} 2>/dev/null`]);
    return Math.min(
      ...stdout
        .split('\n')
        .filter((line) => /^\d+$/.test(line))
        .map(Number),
    );
  };
  /** In the evil container's pid namespace. */
  const processes = (): number => {
    const namespace = world.tree.inside(['readlink', `/proc/${world.pidOf('evil')}/ns/pid`]).stdout.trim();
    const all = world.tree.inside(['sh', '-c', 'readlink /proc/[0-9]*/ns/pid']).stdout.split('\n');
    return all.filter((line) => line === namespace).length;
  };
});
