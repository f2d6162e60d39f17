// state-svc whole, over the memory bus, beside peers that remember every call.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { type ContainerSpec, createDevice, type Device, sha256 } from './device.ts';

const POOLED = { network: { pool: 'internal' } };
const APP = { group: 'app', auto_recovery: { policy: 'no' } };

const FAILED = { kind: 'code', code: 1 } as const;
const RETRY = {
  policy: 'on-failure',
  max_retries: 5,
  retry_delay: 5,
  backoff_factor: 1,
  stable_timeout: 30,
  backoff_policy: 'never',
};

let device: Device | undefined;
const open = async (containers: Record<string, ContainerSpec>, deviceJson?: object): Promise<Device> => {
  device = await createDevice(containers, deviceJson);
  return device;
};
afterEach(async () => {
  await device?.close();
  device = undefined;
});

/** Calls about one container, without its name. */
const callsOf = ({ world }: Device, name: string): readonly string[] =>
  world.calls.filter((call) => call.endsWith(` ${name}`)).map((call) => call.split(' ')[0] ?? '');
const health = async ({ state }: Device) => {
  const answer = await state.health({});
  return answer.ok ? answer.value.reasons : [];
};

describe('a boot', () => {
  it('configures once, then mounts, allocates, attaches and starts', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    const row = await it.untilStatus('web', 'STARTED');
    assert.deepEqual(
      it.world.calls.filter((call) => !call.startsWith('log.')),
      ['ipam.configure 1', 'net.configure 1', 'lxc.mount web', 'ipam.allocate web', 'net.attach web', 'lxc.start web'],
    );
    assert.deepEqual(row.network, {
      hostname: 'web',
      interfaces: [
        {
          pool: 'internal',
          name: 'eth0',
          ipv4: '10.0.5.2/24',
          gateway: '10.0.5.1',
          bridge: 'pvbr0',
          host_interface: 'veth-web',
          mac: '02:00:0a:00:05:02',
        },
      ],
    });
    assert.equal(row.pid, it.world.containers.get('web')?.running?.pid);
    assert.deepEqual(it.history.get('web'), ['INSTALLED', 'MOUNTED', 'STARTING', 'STARTED']);
    assert.ok(it.world.calls.includes('log.openRevision 0'));
  });

  it('asks neither for addresses nor for namespaces when a container is in no pool', async () => {
    const it = await open({ plain: APP }, {});
    await it.boot();
    await it.untilStatus('plain', 'STARTED');
    assert.deepEqual(callsOf(it, 'plain'), ['lxc.mount', 'lxc.start']);
    assert.deepEqual(
      it.world.calls.filter((call) => call.startsWith('net.')),
      ['net.configure 0'],
    );
  });

  it('only mounts what has the goal MOUNTED', async () => {
    const it = await open({ files: { group: 'data' } });
    await it.boot();
    await it.untilStatus('files', 'MOUNTED');
    assert.deepEqual(callsOf(it, 'files'), ['lxc.mount']);
    const groups = await it.state.listGroups({});
    assert.deepEqual(groups.ok && groups.value.groups.map(({ name, status }) => [name, status]), [
      ['data', 'READY'],
      ['root', 'READY'],
      ['platform', 'READY'],
      ['app', 'READY'],
    ]);
  });

  it('mounts nobody before every goal of the groups before is met', async () => {
    const it = await open({ base: { group: 'root' }, late: { group: 'app' } });
    const release = it.world.hold('lxc.start');
    await it.boot();
    await it.until(() => it.world.calls.includes('lxc.start base'));
    assert.deepEqual(callsOf(it, 'late'), []);
    release();
    await it.untilStatus('late', 'STARTED');
  });

  it('goes on after a group’s timeout, says so, and names who missed in health', async () => {
    const it = await open({ mute: { group: 'root', status_goal: 'READY' }, late: { group: 'app' } });
    await it.boot();
    await it.untilStatus('mute', 'STARTED');
    assert.deepEqual(callsOf(it, 'late'), []);
    it.clock.advance(30_000);
    await it.untilStatus('late', 'STARTED');
    assert.ok(it.lines.some((line) => line.startsWith('warn group root: goals not met in time by mute')));
    assert.deepEqual(
      (await health(it)).map(({ code, subject }) => [code, subject]),
      [['STATUS_GOAL_MISSED', 'mute']],
    );
    assert.ok((await it.state.signalReady({ container: 'mute' })).ok);
    assert.deepEqual(await health(it), []);
  });

  it('goes on when a service comes back that was down for longer than it is waited for', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    const down = () => it.world.troubles.set('net.attach web', 'die');
    down();
    await it.boot();
    await it.until(() => {
      if (it.history.get('web')?.at(-1) === 'RECOVERING') return true;
      down();
      it.clock.advance(4_000);
      return false;
    });
    assert.match((await health(it))[0]?.message ?? '', /net\.attach/);
    it.world.troubles.clear();
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(await health(it), []);
  });

  it('makes the pools as soon as they can be made, and starts who waited for them', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('ipam.configure 1', 'refuse').set('ipam.allocate web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.deepEqual(
      (await health(it)).map(({ code }) => code),
      ['POOLS_NOT_READY', 'CONTAINER_FAILED'],
    );
    it.world.troubles.clear();
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(await health(it), []);
  });

  it('starts at most the limit at a time', async () => {
    const it = await open({ a: APP, b: APP, c: APP });
    const release = it.world.hold('lxc.mount');
    await it.boot();
    await it.until(() => it.world.calls.includes('lxc.mount b'));
    assert.ok(!it.world.calls.includes('lxc.mount c'));
    release();
    await it.untilStatus('c', 'STARTED');
  });

  it('holds a mounted container as BLOCKED while an earlier goal is lost', async () => {
    const base = { group: 'platform', auto_recovery: RETRY };
    const it = await open({ base, late: APP });
    it.world.hold('lxc.start')();
    await it.boot();
    const release = it.world.hold('lxc.mount');
    await it.until(() => it.world.calls.includes('lxc.mount base'));
    release();
    const releaseLate = it.world.hold('lxc.mount');
    await it.until(() => it.world.calls.includes('lxc.mount late'));
    it.world.exit('base', FAILED);
    await it.untilStatus('base', 'RECOVERING');
    releaseLate();
    await it.untilStatus('late', 'BLOCKED');
    it.clock.advance(5000);
    await it.untilStatus('late', 'STARTED');
    assert.deepEqual(it.history.get('late'), ['INSTALLED', 'MOUNTED', 'BLOCKED', 'STARTING', 'STARTED']);
  });
});

describe('a start that fails', () => {
  const undone: Record<string, readonly string[]> = {
    'lxc.mount': ['lxc.mount'],
    'ipam.allocate': ['lxc.mount', 'ipam.allocate', 'lxc.unmount'],
    'net.attach': ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.unmount'],
    'lxc.start': ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.start', 'net.detach', 'lxc.unmount'],
  };
  for (const [step, calls] of Object.entries(undone)) {
    it(`undoes what was done before ${step}, in reverse, and names it`, async () => {
      const it = await open({ web: { ...APP, ...POOLED }, other: { ...APP, ...POOLED } });
      it.world.troubles.set(`${step} web`, 'refuse');
      await it.boot();
      await it.untilStatus('web', 'STOPPED');
      await it.untilStatus('other', 'STARTED');
      assert.deepEqual(callsOf(it, 'web'), calls);
      assert.equal(it.world.containers.get('web')?.mounted ?? false, false);
      assert.ok(!it.world.attachments.has('web'));
      const [reason] = await health(it);
      assert.deepEqual([reason?.code, reason?.subject], ['CONTAINER_FAILED', 'web']);
      assert.ok(reason?.message.includes(step), reason?.message);
    });
  }

  it('keeps the lease', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('lxc.start web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.equal(it.world.leases.get('web'), '10.0.5.2');
  });

  it('goes on past a step that cannot be undone and tells it', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('lxc.start web', 'refuse').set('net.detach web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.ok(!it.world.containers.has('web'));
    assert.match((await health(it))[0]?.message ?? '', /not undone: net.detach: NET_FAILED/);
  });

  it('is tried again when the user asks, from INSTALLED', async () => {
    const it = await open({ web: APP });
    it.world.troubles.set('lxc.start web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    it.world.troubles.clear();
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'start' })).ok);
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(await health(it), []);
  });
});

describe('the death of a peer', () => {
  for (const [step, service] of [
    ['lxc.mount', 'lxc-svc'],
    ['ipam.allocate', 'ipam-svc'],
    ['net.attach', 'net-svc'],
    ['lxc.start', 'lxc-svc'],
  ] as const) {
    it(`at ${step}, done but not answered, is one more request and nothing else`, async () => {
      const it = await open({ web: { ...APP, ...POOLED } });
      it.world.troubles.set(`${step} web`, 'die');
      await it.boot();
      const row = await it.untilStatus('web', 'STARTED');
      assert.deepEqual(callsOf(it, 'web').filter((call) => call === step).length, 2);
      assert.ok(!it.world.calls.includes('lxc.unmount web'), service);
      assert.equal(row.network?.interfaces[0]?.ipv4, '10.0.5.2/24');
    });
  }

  it('or a bug in it ends the start, and undoes also the step whose outcome nobody knows', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('net.attach web', 'throw');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.deepEqual(callsOf(it, 'web').slice(-3), ['net.attach', 'net.detach', 'lxc.unmount']);
    assert.match((await health(it))[0]?.message ?? '', /net.attach: .*INTERNAL/);
  });
});

describe('a revision that is not whole', () => {
  const quiet = ({ world }: Device) => world.calls.filter((call) => !call.startsWith('log.'));

  it('with an object of another content is refused before anybody is asked for anything', async () => {
    const it = await open({ web: { ...APP, ...POOLED }, bad: APP });
    await writeFile(join(it.storage, 'objects', sha256('root of bad')), 'something else');
    await rm(join(it.storage, 'objects', sha256('root of web')));
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), []);
    assert.deepEqual(
      (await health(it)).map(({ code, subject, message }) => [code, subject, message.split(':')[0]]),
      [
        ['REVISION_REFUSED', 'web/root.squashfs', 'OBJECT_MISSING'],
        ['REVISION_REFUSED', 'bad/root.squashfs', 'OBJECT_CORRUPT'],
      ],
    );
    assert.ok(it.lines.some((line) => line.startsWith('error revision 0 refused: bad/root.squashfs: ')));
    assert.equal((await it.rows()).web?.status, 'INSTALLED');
  });

  it('with an unknown pool is refused, and its damaged objects are told in the same go', async () => {
    const it = await open({ web: { ...APP, network: { pool: 'does-not-exist' } } });
    await rm(join(it.storage, 'objects', sha256('root of web')));
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), []);
    assert.equal((await health(it)).length, 2);
    assert.ok(it.lines.some((line) => line.includes("references unknown pool 'does-not-exist', refusing to start")));
  });

  it('with a pool and lxc.net lines of its own in one container is refused', async () => {
    const it = await open({ web: { ...APP, ...POOLED, lxc: 'lxc.net.0.ipv4.address = 10.0.5.7/24\n' } });
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), []);
    const [reason] = await health(it);
    assert.deepEqual([reason?.code, reason?.subject], ['REVISION_REFUSED', 'web/lxc.container.conf:3']);
  });

  it('of which nothing is there, or nothing readable, is refused and the lists are empty', async () => {
    const it = await open({});
    for (const text of ['{', '{"revision":"../0"}', '{"revision":"7"}']) {
      await mkdir(join(it.storage, 'boot'), { recursive: true });
      await writeFile(join(it.storage, 'boot/current.json'), text);
      await (await it.boot()).settled;
      assert.equal((await health(it))[0]?.code, 'REVISION_REFUSED', text);
      assert.deepEqual(await it.rows(), {});
    }
    assert.deepEqual(quiet(it), []);
  });

  it('is refused when the address of a reservation is somebody else’s, and nobody is started', async () => {
    const it = await open({ web: APP });
    it.world.addressTaken = true;
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), ['ipam.configure 1']);
    assert.match((await health(it))[0]?.message ?? '', /10.0.5.9 .* held by other/);
  });

  it('is refused when a pool hides what the machine uses, and nobody is started', async () => {
    const it = await open({ web: APP });
    it.world.poolOverlaps = true;
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), ['ipam.configure 1', 'net.configure 1']);
    const [reason] = await health(it);
    assert.equal(reason?.subject, 'device.json.network.pools.internal.subnet');
    assert.match(reason?.message ?? '', /10.0.5.0.24, which overlaps this machine's route 10.0.0.0.8 by wg0/);
  });
});

describe('a restart of state-svc', () => {
  it('adopts what runs: same pid, READY included, nothing mounted or started again', async () => {
    const it = await open({ app: { ...APP, ...POOLED, status_goal: 'READY' }, web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('app', 'STARTED');
    assert.ok((await it.state.signalReady({ container: 'app' })).ok);
    const before = await it.untilStatus('app', 'READY');
    await it.untilStatus('web', 'STARTED');
    it.world.calls.length = 0;
    await (await it.boot()).settled;
    const after = await it.untilStatus('app', 'READY');
    assert.equal(after.pid, before.pid);
    assert.deepEqual(after.network, before.network);
    assert.equal((await it.rows()).web?.status, 'STARTED');
    assert.ok(!it.world.calls.some((call) => /lxc\.(mount|start|stop|unmount)/.test(call)), it.world.calls.join());
  });

  it('leaves stopped what the user stopped', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    await (await it.boot()).settled;
    const row = await it.untilStatus('web', 'STOPPED');
    assert.equal(row.user_stopped, 'true');
    assert.deepEqual([...it.world.containers.keys()], []);
  });

  it('removes what the revision does not know, and its namespace', async () => {
    const it = await open({ web: APP });
    it.world.containers.set('stranger', {
      revision: '0',
      mounted: true,
      running: { pid: 50, startedMs: 1 },
      exit: undefined,
    });
    it.world.attachments.add('stranger').add('ghost');
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(callsOf(it, 'stranger'), ['lxc.stop', 'net.detach', 'lxc.unmount']);
    assert.deepEqual([...it.world.attachments], []);
    assert.deepEqual([...it.world.containers.keys()], ['web']);
  });

  it('at any call of a start ends with the container running once', async () => {
    for (const step of ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.start']) {
      const it = await open({ web: { ...APP, ...POOLED } });
      const release = it.world.hold(step);
      const first = await it.boot();
      await it.until(() => it.world.calls.includes(`${step} web`));
      await first.close();
      const second = it.boot();
      release();
      await (await second).settled;
      await it.untilStatus('web', 'STARTED');
      assert.equal(it.world.containers.get('web')?.mounted, true, step);
      assert.ok(it.world.containers.get('web')?.running !== undefined);
      assert.ok(!it.world.calls.includes('lxc.unmount web'), step);
      await it.close();
      device = undefined;
    }
  });

  it('at any call of a restart that the user asked for finishes it', async () => {
    for (const step of ['lxc.stop', 'net.detach', 'lxc.unmount', 'lxc.mount', 'lxc.start']) {
      const it = await open({ web: { ...APP, ...POOLED } });
      const first = await it.boot();
      const { pid } = await it.untilStatus('web', 'STARTED');
      it.world.calls.length = 0;
      const release = it.world.hold(step);
      await it.state.controlContainer({ container: 'web', action: 'restart' });
      await it.until(() => it.world.calls.includes(`${step} web`));
      await first.close();
      const second = it.boot();
      await (await second).settled;
      release();
      const row = await it.untilStatus('web', 'STARTED');
      assert.notEqual(row.pid, pid, step);
      assert.equal(row.pid, it.world.containers.get('web')?.running?.pid);
      await it.close();
      device = undefined;
    }
  });

  it('learns of an end that happened meanwhile, and recovery counts it once', async () => {
    const it = await open({ web: { ...APP, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const kept = it.world.containers.get('web');
    assert.ok(kept?.running !== undefined);
    Object.assign(kept, {
      running: undefined,
      exit: { pid: kept.running.pid, status: FAILED, atMs: it.clock.nowMs() },
    });
    for (const _ of [1, 2]) {
      await (await it.boot()).settled;
      const row = await it.untilStatus('web', 'RECOVERING');
      assert.equal(row.auto_recovery?.current_retries, 1);
    }
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
  });

  it('does not start again what had ended for good', async () => {
    const it = await open({ web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', { kind: 'code', code: 0 });
    await it.untilStatus('web', 'STOPPED');
    it.world.calls.length = 0;
    await (await it.boot()).settled;
    await it.untilStatus('web', 'STOPPED');
    assert.deepEqual(callsOf(it, 'web'), []);
  });
});

describe('controlContainer', () => {
  it('stops politely, then takes network and mounts away, and keeps the lease', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.calls.length = 0;
    const release = it.world.hold('lxc.stop');
    assert.deepEqual(await it.state.controlContainer({ container: 'web', action: 'stop' }), { ok: true, value: {} });
    assert.equal((await it.rows()).web?.status, 'STOPPING');
    const again = await it.state.controlContainer({ container: 'web', action: 'start' });
    assert.equal(!again.ok && again.error.code, 'NOT_ALLOWED');
    release();
    const row = await it.untilStatus('web', 'STOPPED');
    assert.deepEqual(callsOf(it, 'web'), ['lxc.stop', 'net.detach', 'lxc.unmount']);
    assert.deepEqual([row.user_stopped, row.pid, row.network?.interfaces[0]?.host_interface], ['true', null, '']);
    assert.equal(row.network?.interfaces[0]?.ipv4, '10.0.5.2/24');
  });

  it('starts and restarts, with the same address, and counts', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    await it.state.controlContainer({ container: 'web', action: 'start' });
    const started = await it.untilStatus('web', 'STARTED');
    assert.deepEqual([started.user_stopped, started.restarts], ['false', 1]);
    await it.state.controlContainer({ container: 'web', action: 'restart' });
    await it.until(async () => (await it.rows()).web?.restarts === 2);
    assert.equal((await it.rows()).web?.network?.interfaces[0]?.ipv4, '10.0.5.2/24');
    assert.notEqual((await it.rows()).web?.pid, started.pid);
  });

  it('stops a start that is under way', async () => {
    for (const step of ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.start']) {
      const it = await open({ web: { ...APP, ...POOLED } });
      const release = it.world.hold(step);
      await it.boot();
      await it.until(() => it.world.calls.includes(`${step} web`));
      assert.ok((await it.state.controlContainer({ container: 'web', action: 'stop' })).ok);
      release();
      await it.untilStatus('web', 'STOPPED');
      assert.deepEqual([...it.world.containers.keys(), ...it.world.attachments], [], step);
      await it.close();
      device = undefined;
    }
  });

  it('writes the order down before anybody acts on it', async () => {
    const it = await open({ web: APP });
    await it.boot();
    const { pid } = await it.untilStatus('web', 'STARTED');
    let written = '';
    const stopping = it.until(() => {
      if (!it.world.calls.includes('lxc.stop web')) return false;
      written ||= readFileSync(join(it.storage, 'cache/containers.json'), 'utf8');
      return true;
    });
    await it.state.controlContainer({ container: 'web', action: 'restart' });
    await stopping;
    assert.deepEqual(JSON.parse(written).web.pendingStart, { replacesPid: pid });
  });

  it('refuses unknown containers, restart policy system, and states that do not allow it', async () => {
    const it = await open({ web: APP, base: { group: 'root' } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const code = async (container: string, action: 'start' | 'stop' | 'restart') => {
      const answer = await it.state.controlContainer({ container, action });
      return answer.ok ? 'ok' : answer.error.code;
    };
    assert.equal(await code('nobody', 'start'), 'CONTAINER_NOT_FOUND');
    assert.equal(await code('base', 'stop'), 'POLICY_SYSTEM');
    assert.equal(await code('web', 'start'), 'NOT_ALLOWED');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    assert.equal(await code('web', 'stop'), 'NOT_ALLOWED');
    assert.equal(await code('web', 'restart'), 'ok');
    await it.untilStatus('web', 'STARTED');
  });

  it('does not let one container’s stop delay another request', async () => {
    const it = await open({ deaf: APP, web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.untilStatus('deaf', 'STARTED');
    const release = it.world.hold('lxc.stop');
    await it.state.controlContainer({ container: 'deaf', action: 'stop' });
    await it.until(() => it.world.calls.includes('lxc.stop deaf'));
    assert.equal((await it.rows()).web?.status, 'STARTED');
    release();
    await it.untilStatus('deaf', 'STOPPED');
  });
});

describe('auto-recovery', () => {
  const start = async (recovery: object): Promise<Device> => {
    const it = await open({ web: { ...APP, ...POOLED, auto_recovery: recovery } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    return it;
  };

  it('shows RECOVERING, waits longer each time, and stays STOPPED with a reason when retries are used up', async () => {
    const it = await start({ ...RETRY, max_retries: 2, backoff_factor: 3, backoff_policy: 'reboot' });
    for (const delayMs of [5000, 15_000]) {
      it.world.exit('web', FAILED);
      const row = await it.untilStatus('web', 'RECOVERING');
      assert.deepEqual(row.exit?.status, FAILED);
      assert.equal(row.pid, null);
      it.clock.advance(delayMs - 1);
      assert.equal((await it.rows()).web?.status, 'RECOVERING');
      it.clock.advance(1);
      await it.untilStatus('web', 'STARTED');
    }
    it.world.exit('web', FAILED);
    const row = await it.untilStatus('web', 'STOPPED');
    assert.deepEqual([row.auto_recovery?.current_retries, row.restarts], [2, 2]);
    const [reason] = await health(it);
    assert.equal(reason?.code, 'RECOVERY_EXHAUSTED');
    assert.deepEqual(it.reboots, ['RECOVERY_EXHAUSTED']);
    assert.ok(!it.world.calls.includes('lxc.unmount web'));
  });

  it('leaves a clean exit STOPPED with on-failure, and says nothing of it in health', async () => {
    const it = await start(RETRY);
    it.world.exit('web', { kind: 'code', code: 0 });
    const row = await it.untilStatus('web', 'STOPPED');
    assert.deepEqual([row.auto_recovery?.current_retries, row.user_stopped], [0, 'false']);
    assert.deepEqual(await health(it), []);
  });

  it('waits its pause and starts the counter over', async () => {
    const it = await start({ ...RETRY, max_retries: 1, backoff_policy: '10min' });
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(599_999);
    assert.equal((await it.rows()).web?.status, 'RECOVERING');
    it.clock.advance(1);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.current_retries, 0);
  });

  it('resets the counter after reset_window of uptime, and calls stable what lived stable_timeout past its goal', async () => {
    const it = await start({ ...RETRY, reset_window: 60, stable_timeout: 30 });
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.is_stable, 'false');
    it.clock.advance(30_000);
    const stable = await it.untilStatus('web', 'STARTED');
    assert.deepEqual([stable.auto_recovery?.is_stable, stable.auto_recovery?.current_retries], ['true', 1]);
    it.clock.advance(30_000);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.current_retries, 0);
  });

  it('is called off by a stop, and a start clears the counter', async () => {
    const it = await start(RETRY);
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    it.clock.advance(1_000_000);
    assert.equal((await it.rows()).web?.status, 'STOPPED');
    await it.state.controlContainer({ container: 'web', action: 'start' });
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.current_retries, 0);
  });

  it('takes a start that failed for one more failure', async () => {
    const it = await start({ ...RETRY, max_retries: 2 });
    it.world.troubles.set('net.attach web', 'refuse');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.until(async () => (await it.rows()).web?.auto_recovery?.current_retries === 2);
    it.world.troubles.clear();
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
  });

  it('is not misled by an exit that is told twice', async () => {
    const it = await start(RETRY);
    const { pid } = await it.untilStatus('web', 'STARTED');
    it.world.exit('web', FAILED);
    await it.untilStatus('web', 'RECOVERING');
    it.clock.advance(5000);
    await it.untilStatus('web', 'STARTED');
    it.world.tellExit('web', pid ?? 0, FAILED);
    // Events and answers of one service arrive in order: after this restart's the exit has been heard.
    await it.state.controlContainer({ container: 'web', action: 'restart' });
    await it.until(async () => (await it.rows()).web?.restarts === 2);
    assert.equal((await it.rows()).web?.auto_recovery?.current_retries, 0);
    assert.deepEqual(it.history.get('web')?.filter((status) => status === 'RECOVERING').length, 1);
  });

  it('counts the uptime of what it adopts', async () => {
    const it = await start({ ...RETRY, stable_timeout: 30 });
    it.clock.advance(20_000);
    await (await it.boot()).settled;
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.is_stable, 'false');
    it.clock.advance(10_000);
    assert.equal((await it.untilStatus('web', 'STARTED')).auto_recovery?.is_stable, 'true');
  });

  it('meets an end that was told before the start was answered', async () => {
    const it = await open({ web: { ...APP, auto_recovery: RETRY } });
    it.world.diesAtOnce.add('web');
    await it.boot();
    const row = await it.untilStatus('web', 'RECOVERING');
    assert.deepEqual(row.exit?.status, FAILED);
  });
});

describe('rows', () => {
  it('have the keys that the API names, in its order, and only where it names them', async () => {
    const it = await open({ web: { ...APP, ...POOLED, auto_recovery: RETRY }, base: { group: 'root' } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const { web, base } = await it.rows();
    const own = ['pid', 'exit', 'restarts', 'since'];
    const common = ['name', 'group', 'status', 'status_goal', 'restart_policy', 'roles'];
    assert.deepEqual(Object.keys(web ?? {}), [...common, 'auto_recovery', 'user_stopped', 'network', ...own]);
    assert.deepEqual(Object.keys(base ?? {}), [...common, ...own]);
    assert.deepEqual(web?.auto_recovery, {
      policy: 'on-failure',
      max_retries: 5,
      current_retries: 0,
      stable_timeout: 30,
      is_stable: 'false',
      backoff_policy: 'never',
    });
    const groups = await it.state.listGroups({});
    assert.deepEqual(groups.ok && groups.value.groups.map(({ auto_recovery }) => auto_recovery), [
      undefined,
      undefined,
      undefined,
      { max_retries: 5, stable_timeout: 30, backoff_policy: 'reboot' },
    ]);
  });
});

describe('signalReady', () => {
  it('is refused for containers with another goal, unknown ones and stopped ones', async () => {
    const it = await open({ web: APP, app: { ...APP, status_goal: 'READY' } });
    await it.boot();
    await it.untilStatus('app', 'STARTED');
    for (const container of ['web', 'nobody']) {
      const answer = await it.state.signalReady({ container });
      assert.equal(!answer.ok && answer.error.code, 'SIGNAL_UNEXPECTED');
    }
    await it.state.controlContainer({ container: 'app', action: 'stop' });
    await it.untilStatus('app', 'STOPPED');
    assert.equal((await it.state.signalReady({ container: 'app' })).ok, false);
  });

  it('counts also when it comes before lxc-svc has said that the start is done', async () => {
    const it = await open({ app: { ...APP, status_goal: 'READY' } });
    const release = it.world.hold('lxc.start');
    await it.boot();
    await it.until(() => it.world.calls.includes('lxc.start app'));
    assert.ok((await it.state.signalReady({ container: 'app' })).ok);
    release();
    await it.untilStatus('app', 'READY');
  });
});

describe('stopAll', () => {
  it('stops groups in reverse, clears the pools, starts nothing any more, and marks nobody as stopped by the user', async () => {
    const it = await open({ base: { group: 'root' }, web: { ...APP, ...POOLED, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.calls.length = 0;
    assert.deepEqual(await it.supervisor.stopAll({}), { ok: true, value: {} });
    assert.deepEqual(it.world.calls, [
      'lxc.stop web',
      'net.detach web',
      'lxc.unmount web',
      'lxc.stop base',
      'lxc.unmount base',
      'net.configure 0',
    ]);
    assert.equal((await it.state.controlContainer({ container: 'web', action: 'start' })).ok, false);
    await (await it.boot()).settled;
    assert.equal((await it.untilStatus('web', 'STARTED')).user_stopped, 'false');
  });

  it('starts everybody again after a death in the middle of it, whatever their exits look like', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('net.detach');
    const supervisor = new AbortController();
    const stopping = it.supervisor.stopAll({}, { signal: supervisor.signal });
    await it.until(() => it.world.calls.includes('net.detach web'));
    supervisor.abort();
    await assert.rejects(stopping);
    it.world.calls.length = 0;
    await it.boot();
    release();
    await it.untilStatus('web', 'STARTED');
  });

  it('reports what could not be stopped and goes on', async () => {
    const it = await open({ base: { group: 'root' }, web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.troubles.set('lxc.unmount web', 'refuse');
    const answer = await it.supervisor.stopAll({});
    assert.match(!answer.ok ? answer.error.reasons.join() : '', /^web: lxc.unmount: UNMOUNT_FAILED/);
    assert.ok(it.world.calls.includes('lxc.unmount base'));
  });
});
