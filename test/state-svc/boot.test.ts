// A boot of state-svc whole: who is mounted and started when.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TRIAL } from './device.ts';
import { APP, callsOf, FAILED, health, POOLED, RETRY, useDevices } from './kit.ts';

const open = useDevices();

describe('a boot', () => {
  it('configures once, then mounts, allocates, attaches and starts', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    const row = await it.untilStatus('web', 'STARTED');
    assert.deepEqual(
      it.world.calls.filter((call) => !/^(?:log|hooks)\./.test(call)),
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

  it('tells of its group and of the revision what each status of a container changes', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const told = (what: string): readonly string[] =>
      it.lines.flatMap((line) => new RegExp(`${what} is ([A-Z]+)`).exec(line)?.[1] ?? []);
    assert.deepEqual(told('group app'), ['INSTALLED', 'MOUNTED', 'STARTING', 'READY']);
    assert.deepEqual(told('revision 0'), ['INSTALLED', 'MOUNTED', 'STARTING', 'READY']);
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

  for (const step of ['ipam.allocate', 'net.attach']) {
    it(`makes the pools as soon as they can be made, and starts who waited for them at ${step}`, async () => {
      const it = await open({ web: { ...APP, ...POOLED } });
      it.world.troubles.set('ipam.configure 1', 'refuse').set(`${step} web`, 'refuse');
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
  }

  it('starts nobody for pools that can be made who ran meanwhile and ended', async () => {
    const it = await open(Object.fromEntries(['ran', 'again', 'web'].map((name) => [name, { ...APP, ...POOLED }])));
    const { troubles } = it.world;
    for (const trouble of ['ipam.configure 1', 'ipam.allocate web', 'ipam.allocate again'])
      troubles.set(trouble, 'refuse');
    await it.boot();
    await it.untilStatus('ran', 'STARTED');
    await it.untilStatus('again', 'STOPPED');
    troubles.delete('ipam.allocate again');
    assert.ok((await it.state.controlContainer({ container: 'again', action: 'start' })).ok);
    await it.untilStatus('again', 'STARTED');
    for (const name of ['ran', 'again']) {
      it.world.exit(name, FAILED);
      await it.untilStatus(name, 'STOPPED');
    }
    await it.untilStatus('web', 'STOPPED');
    troubles.clear();
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STARTED');
    for (const name of ['ran', 'again']) {
      assert.equal((await it.rows())[name]?.status, 'STOPPED');
      assert.equal(it.history.get(name)?.filter((status) => status === 'STARTED').length, 1);
    }
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

  it('starts who had no turn at a start yet when the time of their group ran out', async () => {
    const it = await open({ a: APP, b: APP, c: APP });
    const release = it.world.hold('lxc.mount');
    await it.boot();
    await it.until(() => it.world.calls.includes('lxc.mount b'));
    it.clock.advance(30_000);
    release();
    await it.untilStatus('c', 'STARTED');
  });

  it('starts the containers of a group that nobody waits for', async () => {
    const it = await open({ a: { group: 'quick' } }, { groups: [{ name: 'quick', timeout: 0 }] });
    await it.boot();
    await it.untilStatus('a', 'STARTED');
  });

  it('waits for a group that says no timeout as long as an update is given for its goals', async () => {
    const groups = [{ name: 'first' }, { name: 'last' }];
    const it = await open({ a: { group: 'first', status_goal: 'READY' }, b: { group: 'last' } }, { groups });
    await it.boot();
    await it.untilStatus('a', 'STARTED');
    const isOver = () => it.lines.some((line) => line.includes('goals not met in time by a'));
    it.clock.advance(TRIAL.goalsTimeoutMs - 1);
    assert.equal(isOver(), false);
    it.clock.advance(1);
    assert.equal(isOver(), true);
    await it.untilStatus('b', 'STARTED');
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
