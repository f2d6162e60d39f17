import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, STORAGE, startOf, traces } from './rig.ts';
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

describe('lxc.mount', () => {
  it('mounts, does nothing the second time, and leaves nothing after unmount', async () => {
    makeContainer('mounts', 'obedient');
    for (const persistence of ['permanent', 'revision', 'boot'] as const) {
      const clean = traces();
      const { rootfs } = rig.value(await rig.lxc.mount(mountOf('mounts', persistence)));
      assert.ok(existsSync(join(rootfs, 'bin/busybox')));
      const mounted = traces();
      // Its root, its writable layer, the overlay of both.
      assert.equal(mounted.mounts, clean.mounts + 3);
      assert.equal(mounted.loops, clean.loops + 1);
      rig.value(await rig.lxc.mount(mountOf('mounts', persistence)));
      assert.deepEqual(traces(), mounted);
      assert.equal((await listed(rig, 'mounts'))?.mounted, true);
      rig.value(await rig.lxc.unmount({ container: 'mounts' }));
      rig.value(await rig.lxc.unmount({ container: 'mounts' }));
      assert.deepEqual(traces(), clean);
      assert.equal((await listed(rig, 'mounts'))?.mounted, false);
    }
    assert.deepEqual(rig.mountEvents.slice(0, 2), ['mounted mounts', 'unmounted mounts']);
  });

  it('keeps what was written with permanent and revision, not with boot', async () => {
    makeContainer('keeps', 'obedient');
    const kept = async (persistence: 'permanent' | 'revision' | 'boot'): Promise<boolean> => {
      const { rootfs } = rig.value(await rig.lxc.mount(mountOf('keeps', persistence)));
      writeFileSync(join(rootfs, 'etc/note'), 'x');
      rig.value(await rig.lxc.unmount({ container: 'keeps' }));
      rig.value(await rig.lxc.mount(mountOf('keeps', persistence)));
      const isKept = existsSync(join(rootfs, 'etc/note'));
      rig.value(await rig.lxc.unmount({ container: 'keeps' }));
      return isKept;
    };
    assert.deepEqual([await kept('permanent'), await kept('revision'), await kept('boot')], [true, true, false]);
  });

  it('undoes everything when a step fails, and names the step', async () => {
    makeContainer('broken', 'obedient');
    writeFileSync(join(STORAGE, 'trails/0/broken/root.squashfs'), 'no squashfs at all');
    const clean = traces();
    const answer = await rig.lxc.mount(mountOf('broken'));
    assert.ok(!answer.ok && answer.error.code === 'MOUNT_FAILED');
    assert.equal(answer.error.step, 'squashfs');
    assert.deepEqual(traces(), clean);
    const calls = rig.socketCalls.filter((call) => call.endsWith(' broken'));
    assert.deepEqual(calls, ['open broken', 'close broken']);
  });

  it('answers CONFIG_INVALID with the line', async () => {
    makeContainer('unreadable', 'obedient', 'lxc.cap.drop');
    const clean = traces();
    const answer = await rig.lxc.mount(mountOf('unreadable'));
    assert.ok(!answer.ok && answer.error.code === 'CONFIG_INVALID');
    assert.equal(answer.error.line, 8);
    assert.deepEqual(traces(), clean);
  });

  it('detaches a mount that stays busy, and says so', async () => {
    makeContainer('busy', 'obedient');
    const clean = traces();
    const { rootfs } = rig.value(await rig.lxc.mount(mountOf('busy')));
    const { openSync, closeSync } = await import('node:fs');
    const fd = openSync(join(rootfs, 'bin/busybox'), 'r');
    rig.value(await rig.lxc.unmount({ container: 'busy' }));
    closeSync(fd);
    await eventually('it is told', PATIENCE_MS, () => /busy: .*is detached/.test(rig.output()));
    await eventually('the loop device is free', PATIENCE_MS, () => traces().loops === clean.loops);
    assert.deepEqual(traces(), clean);
  });
});

describe('lxc.start', () => {
  it('answers NOT_MOUNTED for what is not mounted', async () => {
    makeContainer('absent', 'obedient');
    const answer = await rig.lxc.start(startOf('absent'));
    assert.ok(!answer.ok && answer.error.code === 'NOT_MOUNTED');
  });

  for (const part of ['rootfs', 'volumes/docker--data']) {
    it(`answers NOT_MOUNTED when somebody took ${part} away`, async () => {
      makeContainer('partly', 'obedient');
      const volumes = [...mountOf('partly').volumes, { name: 'docker--data', persistence: 'permanent' as const }];
      rig.value(await rig.lxc.mount({ ...mountOf('partly'), volumes }));
      execFileSync('umount', [join(RUNDIR, 'lxc/partly', part)]);
      const answer = await rig.lxc.start(startOf('partly'));
      assert.ok(!answer.ok && answer.error.code === 'NOT_MOUNTED');
      rig.value(await rig.lxc.unmount({ container: 'partly' }));
    });
  }

  it('names the reason when init does not exist, and leaves nothing', async () => {
    makeContainer('noinit', 'nothing');
    rig.value(await rig.lxc.mount(mountOf('noinit')));
    const clean = traces();
    const answer = await rig.lxc.start(startOf('noinit'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.match(answer.error.reason, /app-nothing/);
    assert.deepEqual(traces(), clean);
    rig.value(await rig.lxc.unmount({ container: 'noinit' }));
  });

  it('shows the container its hostname, /pantavisor, its own network and its volumes', async () => {
    makeContainer('look', 'look', 'lxc.mount.entry = /volumes/look/docker--data data none bind,rw,create=dir 0 0');
    mkdirSync(join(STORAGE, 'disks/permanent/look/docker--data'), { recursive: true });
    writeFileSync(join(STORAGE, 'disks/permanent/look/docker--data/kept'), 'volume\n');
    const volumes = [...mountOf('look').volumes, { name: 'docker--data', persistence: 'permanent' as const }];
    rig.value(await rig.lxc.mount({ ...mountOf('look'), volumes }));
    const { pid } = rig.value(await rig.lxc.start(startOf('look')));
    const seen = join(RUNDIR, 'lxc/look/rootfs/seen');
    const lines = await eventually('what it saw', PATIENCE_MS, () => {
      const text = existsSync(seen) ? readFileSync(seen, 'utf8').trim().split('\n') : [];
      return text.length >= 10 && text;
    });
    assert.deepEqual(lines.slice(0, 4), ['device-meta', 'hello', 'logs', 'user-meta']);
    assert.deepEqual(lines.slice(4), ['from outside', 'ro', 'look', 'look', 'lo', 'volume']);
    assert.equal(rig.value(await rig.lxc.start(startOf('look'))).pid, pid);
    rig.value(await rig.lxc.stop({ container: 'look', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'look' }));
  });

  it('runs several side by side', async () => {
    const clean = traces();
    const names = ['one', 'two', 'three'];
    for (const name of names) makeContainer(name, 'obedient');
    const pids = await Promise.all(names.map((name) => run(rig, name)));
    assert.equal(new Set(pids).size, 3);
    for (const name of names) await eventually('its trap is set', PATIENCE_MS, () => consoleOf(name).includes('ready'));
    await Promise.all(names.map(async (container) => rig.value(await rig.lxc.stop({ container, graceMs: 5_000 }))));
    await Promise.all(names.map(async (container) => rig.value(await rig.lxc.unmount({ container }))));
    assert.deepEqual(traces(), clean);
  });

  it('bounds what waits of all consoles together, holds nobody up, and lets the log service read it and give it back', async () => {
    makeContainer('flood', 'flood');
    const folder = join(RUNDIR, 'lxc/.consoles');
    // What others have said, but for a megabyte.
    const [others, roomBytes] = [join(folder, 'others'), 1024 * 1024];
    const { blocks, bfree, bsize } = statfsSync(folder);
    assert.equal(blocks * bsize, 16 * 1024 * 1024);
    writeFileSync(others, Buffer.alloc(bfree * bsize - roomBytes));
    try {
      const pid = await run(rig, 'flood');
      await eventually('it is done', PATIENCE_MS, () => existsSync(join(RUNDIR, 'lxc/flood/rootfs/last')));
      const { mode, gid, size } = statSync(join(folder, 'flood/console.log'));
      assert.equal(mode & 0o777, 0o660);
      assert.equal(gid, 60801);
      assert.equal(size, roomBytes);
      assert.equal((await listed(rig, 'flood'))?.running?.pid, pid);
      rig.value(await rig.lxc.stop({ container: 'flood', graceMs: 0 }));
    } finally {
      rmSync(others);
      rmSync(join(folder, 'flood'), { recursive: true });
    }
    rig.value(await rig.lxc.unmount({ container: 'flood' }));
  });
});

describe('the console of a run that a build before this one started', () => {
  it('is one of its logs too, also when LXC has rotated it', async () => {
    makeContainer('older', 'obedient');
    rig.value(await rig.lxc.mount(mountOf('older')));
    const path = join(RUNDIR, 'lxc/older/logs/console.log');
    const sources = async () => {
      const { containers } = rig.value(await rig.lxc.listContainers({}));
      return containers
        .find(({ container }) => container === 'older')
        ?.logs.filter(({ source }) => source === 'console');
    };
    assert.equal((await sources())?.length, 1);
    // As LXC makes the next one.
    writeFileSync(path, '', { mode: 0o600 });
    assert.deepEqual((await sources())?.[1], { source: 'console', path });
    await eventually('readable', PATIENCE_MS, () => {
      const { mode, gid } = statSync(path);
      return (mode & 0o777) === 0o640 && gid === 60801;
    });
    rig.value(await rig.lxc.unmount({ container: 'older' }));
  });
});

describe('lxc exits', () => {
  it('tells code and signal', async (test) => {
    for (const [script, status] of [
      ['exit0', { kind: 'code', code: 0 }],
      ['exit7', { kind: 'code', code: 7 }],
      ['immediate', { kind: 'code', code: 9 }],
    ] as const) {
      makeContainer(script, script);
      const exit = await rig.exitOf(script, await run(rig, script));
      assert.deepEqual(exit.status, status, script);
      assert.deepEqual((await listed(rig, script))?.exit?.status, status, script);
      test.diagnostic(`${script}: after ${Math.round(exit.seenMs - exit.atMs)} ms`);
      rig.value(await rig.lxc.unmount({ container: script }));
    }
  });

  it('tells signals from outside, and the end of LXC’s monitor', async (test) => {
    makeContainer('killed', 'deaf');
    const clean = traces();
    const pid = await run(rig, 'killed');
    const killedMs = Date.now();
    process.kill(pid, 'SIGKILL');
    const first = await rig.exitOf('killed', pid);
    assert.deepEqual(first.status, KILLED);
    test.diagnostic(`its process: after ${first.seenMs - killedMs} ms`);
    // The kernel stamps files with a clock that is up to a tick late, 10 ms at worst.
    assert.ok(first.atMs >= killedMs - 10 && first.atMs <= first.seenMs, `${first.atMs} after ${killedMs}`);
    const again = rig.value(await rig.lxc.start(startOf('killed'))).pid;
    const monitor = Number(readFileSync(join(RUNDIR, 'lxc/killed/monitor.pid'), 'utf8'));
    const begin = Date.now();
    process.kill(monitor, 'SIGKILL');
    const exit = await rig.exitOf('killed', again);
    assert.deepEqual(exit.status, { kind: 'unknown' });
    test.diagnostic(`the monitor: after ${exit.seenMs - begin} ms`);
    const third = rig.value(await rig.lxc.start(startOf('killed'))).pid;
    assert.ok(third > 1);
    rig.value(await rig.lxc.stop({ container: 'killed', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'killed' }));
    assert.deepEqual(traces(), clean);
  });

  it('ends the run when a container reboots itself', async () => {
    makeContainer('reboot', 'reboot');
    const clean = traces();
    const pid = await run(rig, 'reboot');
    assert.equal((await rig.exitOf('reboot', pid)).status.kind, 'signal');
    assert.equal((await listed(rig, 'reboot'))?.running, undefined);
    rig.value(await rig.lxc.unmount({ container: 'reboot' }));
    assert.equal(traces().cgroups, clean.cgroups);
  });
});

describe('lxc-svc ended', () => {
  it('leaves the memory of consoles to containers that stay, and nothing mounted where there are none', async () => {
    const isThere = () => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${join(RUNDIR, 'lxc/.consoles')} `);
    makeContainer('stays', 'obedient');
    await run(rig, 'stays');
    await eventually('it speaks', PATIENCE_MS, () => consoleOf('stays').includes('ready'));
    await rig.end();
    assert.ok(isThere());
    await rig.spawn();
    assert.match(consoleOf('stays'), /ready/, 'what was there is there');
    rig.value(await rig.lxc.stop({ container: 'stays', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'stays' }));
    await rig.end();
    assert.equal(isThere(), false);
    await rig.spawn();
    assert.ok(isThere());
  });
});

describe('lxc-svc killed', () => {
  it('finds its containers again, with how they ended meanwhile', async () => {
    for (const name of ['lives', 'ends']) makeContainer(name, 'deaf');
    const clean = traces();
    const [lives, ends] = [await run(rig, 'lives'), await run(rig, 'ends')];
    const upMs = async (): Promise<number> => (await listed(rig, 'lives'))?.running?.upMs ?? Number.NaN;
    const before = { upMs: await upMs(), atMs: performance.now() };
    await rig.kill();
    process.kill(ends, 'SIGKILL');
    await eventually('its monitor is gone', PATIENCE_MS, () => !existsSync(join(RUNDIR, 'lxc/ends/monitor.pid')));
    await rig.spawn();
    assert.deepEqual((await rig.exitOf('ends', ends)).status, KILLED);
    assert.equal((await listed(rig, 'lives'))?.running?.pid, lives);
    const passedMs = performance.now() - before.atMs;
    // Ticks of a hundredth of a second.
    assert.ok((await upMs()) >= before.upMs + passedMs - 20, 'it has run all the while');
    assert.equal(rig.value(await rig.lxc.start(startOf('lives'))).pid, lives);
    process.kill(lives, 'SIGKILL');
    const exit = await rig.exitOf('lives', lives);
    assert.deepEqual(exit.status, KILLED);
    for (const container of ['lives', 'ends']) rig.value(await rig.lxc.unmount({ container }));
    assert.deepEqual(traces(), clean);
  });

  it('opens the sockets of what it starts or finds running, and closes them when it is unmounted', async () => {
    makeContainer('speaks', 'deaf');
    const calls = () => rig.socketCalls.filter((call) => call.endsWith(' speaks'));
    await run(rig, 'speaks');
    assert.deepEqual(calls(), ['open speaks']);
    await rig.kill();
    await rig.spawn();
    await eventually('it is adopted', PATIENCE_MS, () => calls().length === 2);
    rig.value(await rig.lxc.stop({ container: 'speaks', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'speaks' }));
    assert.deepEqual(calls(), ['open speaks', 'open speaks', 'close speaks']);
  });

  it('does not start a second one when it is killed in the middle of a start', async () => {
    makeContainer('middle', 'deaf');
    rig.value(await rig.lxc.mount(mountOf('middle')));
    const started = rig.lxc.start(startOf('middle'), { deadlineMs: 30_000 });
    await eventually('lxc-start was called', PATIENCE_MS, () => existsSync(join(RUNDIR, 'lxc/middle/run.json')));
    await rig.kill();
    await rig.spawn();
    const { pid } = rig.value(await started);
    assert.equal((await listed(rig, 'middle'))?.running?.pid, pid);
    rig.value(await rig.lxc.stop({ container: 'middle', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'middle' }));
  });
});
