// What becomes of a stop: who ends by itself, who is killed, and what waits for it.
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, startOf, traces } from './rig.ts';
import { consoleOf, KILLED, listed, run } from './runs.ts';

reexecInNamespaces(import.meta.filename);

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
});
after(async () => {
  await rig.close();
});

describe('lxc.stop', () => {
  it('lets an obedient container end by itself', async () => {
    makeContainer('obedient', 'obedient');
    const clean = traces();
    await run(rig, 'obedient');
    await eventually('its trap is set', PATIENCE_MS, () => consoleOf('obedient').includes('ready'));
    const { exit } = rig.value(await rig.lxc.stop({ container: 'obedient', graceMs: 10_000 }));
    assert.deepEqual(exit, { kind: 'code', code: 3 });
    rig.value(await rig.lxc.unmount({ container: 'obedient' }));
    assert.deepEqual(traces(), clean);
    assert.deepEqual((await listed(rig, 'obedient'))?.exit?.status, { kind: 'code', code: 3 });
    assert.deepEqual(rig.value(await rig.lxc.stop({ container: 'obedient', graceMs: 0 })).exit, {
      kind: 'code',
      code: 3,
    });
  });

  it('is forgotten by the next mount: nothing has ended of what was just mounted', async () => {
    makeContainer('again', 'obedient');
    rig.value(await rig.lxc.mount(mountOf('again')));
    rig.value(await rig.lxc.start(startOf('again')));
    rig.value(await rig.lxc.stop({ container: 'again', graceMs: 0 }));
    assert.ok((await listed(rig, 'again'))?.exit);
    rig.value(await rig.lxc.unmount({ container: 'again' }));
    assert.ok((await listed(rig, 'again'))?.exit);
    rig.value(await rig.lxc.mount(mountOf('again')));
    const { mounted, exit } = (await listed(rig, 'again')) ?? {};
    assert.deepEqual({ mounted, exit }, { mounted: true, exit: undefined });
    rig.value(await rig.lxc.unmount({ container: 'again' }));
  });

  it('kills a deaf one after the grace', async (test) => {
    makeContainer('deaf', 'deaf');
    await run(rig, 'deaf');
    await eventually('its trap is set', PATIENCE_MS, () => consoleOf('deaf').includes('ready'));
    const begin = performance.now();
    assert.deepEqual(rig.value(await rig.lxc.stop({ container: 'deaf', graceMs: 1_000 })).exit, KILLED);
    const took = performance.now() - begin;
    test.diagnostic(`${Math.round(took)} ms`);
    assert.ok(took >= 1_000, `stop took ${took} ms`);
    rig.value(await rig.lxc.unmount({ container: 'deaf' }));
  });

  it('ends one that has frozen itself, and what is in a group of its own', async (test) => {
    const script = [
      'export PATH=/bin; mkdir /run/f; busybox mount -t cgroup -o freezer f /run/f || exit 5',
      'mkdir /run/f/deep; sleep 100 & echo \\$! >/run/f/deep/cgroup.procs; echo FROZEN >/run/f/deep/freezer.state',
      'echo ready; echo FROZEN >/run/f/freezer.state',
    ].join('; ');
    makeContainer('frozen', 'obedient', `lxc.init.cmd = /bin/sh -c "${script}"`);
    const clean = traces();
    const pid = await run(rig, 'frozen');
    const isFrozen = () => textIfThere(`/proc/${pid}/wchan`) === '__refrigerator';
    const isOver = async () => (await listed(rig, 'frozen'))?.exit?.status;
    const exit = await eventually('it is frozen', PATIENCE_MS, async () => (await isOver()) ?? isFrozen());
    if (exit !== true) {
      assert.deepEqual(exit, { kind: 'code', code: 5 });
      test.skip('this kernel has no freezer of version 1');
    } else assert.deepEqual(rig.value(await rig.lxc.stop({ container: 'frozen', graceMs: 0 })).exit, KILLED);
    rig.value(await rig.lxc.unmount({ container: 'frozen' }));
    assert.deepEqual(traces(), clean);
  });

  it('holds up nobody else while it waits, and is shortened by a second one', async () => {
    makeContainer('deaf', 'deaf');
    await run(rig, 'deaf');
    await eventually('its trap is set', PATIENCE_MS, () => consoleOf('deaf').includes('ready'));
    let isOver = false;
    const stopped = rig.lxc.stop({ container: 'deaf', graceMs: 600_000 }).finally(() => {
      isOver = true;
    });
    assert.equal((await listed(rig, 'deaf'))?.mounted, true);
    assert.equal(isOver, false);
    for (const stop of [rig.lxc.stop({ container: 'deaf', graceMs: 0 }), stopped])
      assert.deepEqual(rig.value(await stop).exit, KILLED);
    rig.value(await rig.lxc.unmount({ container: 'deaf' }));
  });

  it('is waited for by an unmount, which without it is refused to what runs', async () => {
    makeContainer('deaf', 'deaf');
    const pid = await run(rig, 'deaf');
    await eventually('its trap is set', PATIENCE_MS, () => consoleOf('deaf').includes('ready'));
    const refused = await rig.lxc.unmount({ container: 'deaf' });
    assert.ok(!refused.ok && refused.error.code === 'RUNNING');
    const stopped = rig.lxc.stop({ container: 'deaf', graceMs: 20_000 });
    const unmounted = rig.lxc.unmount({ container: 'deaf' });
    assert.equal((await listed(rig, 'deaf'))?.mounted, true);
    process.kill(pid, 'SIGKILL');
    assert.deepEqual(rig.value(await stopped).exit, KILLED);
    rig.value(await unmounted);
    assert.equal((await listed(rig, 'deaf'))?.mounted ?? false, false);
  });

  it('is waited for by a start', async () => {
    makeContainer('again', 'deaf');
    const pid = await run(rig, 'again');
    await eventually('its trap is set', PATIENCE_MS, () => consoleOf('again').includes('ready'));
    const slow = rig.lxc.stop({ container: 'again', graceMs: 20_000 });
    await rig.lxc.listContainers({});
    const started = rig.lxc.start(startOf('again'));
    // The start holds the container's turn until the first stop is over; the process is killed from outside.
    process.kill(pid, 'SIGKILL');
    assert.deepEqual(rig.value(await slow).exit, KILLED);
    assert.notEqual(rig.value(await started).pid, pid);
    rig.value(await rig.lxc.stop({ container: 'again', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'again' }));
  });
});
