// What a service that is killed at a bad moment, or a machine with long paths, leaves to the next one; and the kinds of networks.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { attachLoopDevice } from '../../shared/kernel/loop-device.ts';
import { MS_RDONLY, mount } from '../../shared/kernel/mount.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, STORAGE, startOf, traces } from './rig.ts';

reexecInNamespaces(import.meta.filename);

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
});
after(async () => {
  await rig.close();
});

const value: Rig['value'] = (answer) => rig.value(answer);

/** As a service leaves it that dies after the squashfs and before the overlay. */
function mountHalf(container: string): void {
  const lower = join(RUNDIR, 'lxc', container, 'volumes/root.squashfs');
  mkdirSync(lower, { recursive: true });
  const loop = attachLoopDevice(join(STORAGE, 'trails/0', container, 'root.squashfs'));
  mount(loop.path, lower, 'squashfs', MS_RDONLY);
  loop.close();
}

describe('lxc after an interrupted mount', () => {
  it('mounts anew over what is there', async () => {
    makeContainer('half', 'obedient');
    const clean = traces();
    mountHalf('half');
    assert.equal(traces().mounts, clean.mounts + 1);
    value(await rig.lxc.mount(mountOf('half')));
    assert.equal(traces().mounts, clean.mounts + 3);
    value(await rig.lxc.unmount({ container: 'half' }));
    assert.deepEqual(traces(), clean);
  });

  it('unmounts what is there', async () => {
    makeContainer('rest', 'obedient');
    const clean = traces();
    mountHalf('rest');
    value(await rig.lxc.unmount({ container: 'rest' }));
    assert.deepEqual(traces(), clean);
  });

  it('replaces another revision’s root, unless it runs', async () => {
    makeContainer('moves', 'deaf');
    execFileSync('cp', ['-r', join(STORAGE, 'trails/0'), join(STORAGE, 'trails/1')]);
    value(await rig.lxc.mount(mountOf('moves')));
    value(await rig.lxc.mount({ ...mountOf('moves'), revision: '1' }));
    const { containers } = value(await rig.lxc.listContainers({}));
    assert.equal(containers.find(({ container }) => container === 'moves')?.revision, '1');
    value(await rig.lxc.start(startOf('moves')));
    for (const other of [mountOf('moves'), { ...mountOf('moves', 'boot'), revision: '1' }]) {
      const answer = await rig.lxc.mount(other);
      assert.ok(!answer.ok && answer.error.code === 'MOUNT_FAILED');
    }
    value(await rig.lxc.stop({ container: 'moves', graceMs: 0 }));
    value(await rig.lxc.unmount({ container: 'moves' }));
  });
});

describe('lxc-svc killed at any moment of a start', () => {
  it('ends with one container that it knows', async () => {
    makeContainer('torn', 'deaf');
    const clean = traces();
    for (let round = 0; round < 8; round += 1) {
      value(await rig.lxc.mount(mountOf('torn')));
      const started = rig.lxc.start(startOf('torn'));
      const record = join(RUNDIR, 'lxc/torn/run.json');
      await eventually('lxc-start was called', PATIENCE_MS, () => existsSync(record));
      // A little later in each round: 0 to about 30 ms, the time of a start.
      const until = performance.now() + round * 4;
      while (performance.now() < until) readFileSync('/proc/self/stat');
      await rig.kill();
      await rig.spawn();
      const { pid } = value(await started);
      const monitors = () =>
        execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' })
          .split('\n')
          .filter((args) => args.includes('lxc monitor'));
      // A fork of one has its name until it is a program of its own.
      await eventually(`one monitor in round ${round}`, PATIENCE_MS, () => monitors().length === 1);
      assert.deepEqual(value(await rig.lxc.stop({ container: 'torn', graceMs: 0 })).exit, {
        kind: 'signal',
        signal: 9,
      });
      assert.ok(pid > 1);
      value(await rig.lxc.unmount({ container: 'torn' }));
      assert.deepEqual(traces(), clean, `round ${round}`);
    }
  });
});

describe('a run that a new service cannot go on with at once', () => {
  it('is tried again, and its requests wait for that', async () => {
    makeContainer('hidden', 'deaf');
    value(await rig.lxc.mount(mountOf('hidden')));
    const { pid, startedMs } = value(await rig.lxc.start(startOf('hidden')));
    await rig.kill();
    const record = join(RUNDIR, 'lxc/hidden/run.json');
    // As a start leaves it whose service was killed; what is written to be renamed to it cannot be opened.
    writeFileSync(record, JSON.stringify({ startedMs }));
    mkdirSync(`${record}.new`);
    await rig.spawn();
    const stopped = rig.lxc.stop({ container: 'hidden', graceMs: 0 });
    await eventually('a word in the log', PATIENCE_MS, () => /hidden is not watched yet: EISDIR/.test(rig.output()));
    rmdirSync(`${record}.new`);
    assert.deepEqual(value(await stopped).exit, { kind: 'signal', signal: 9 });
    assert.equal(existsSync(`/proc/${pid}`), false);
    value(await rig.lxc.unmount({ container: 'hidden' }));
  });
});

describe('lxc networks', () => {
  const namespaceOf = (pid: number): string => readlinkSync(`/proc/${pid}/ns/net`);
  const startWith = async (
    container: string,
    network: { kind: 'host' | 'none' | 'legacy' } | { kind: 'netns'; path: string },
  ) => {
    value(await rig.lxc.mount(mountOf(container)));
    return value(await rig.lxc.start({ ...startOf(container), network })).pid;
  };
  const end = async (container: string) => {
    value(await rig.lxc.stop({ container, graceMs: 0 }));
    value(await rig.lxc.unmount({ container }));
  };

  it('joins the host’s, a prepared one, or none', async () => {
    makeContainer('net', 'deaf');
    const host = namespaceOf(process.pid);
    assert.equal(namespaceOf(await startWith('net', { kind: 'host' })), host);
    await end('net');
    execFileSync('ip', ['netns', 'add', 'prepared']);
    const prepared = await startWith('net', { kind: 'netns', path: '/run/netns/prepared' });
    const links = execFileSync('ip', ['netns', 'identify', String(prepared)], { encoding: 'utf8' });
    assert.equal(links.trim(), 'prepared');
    await end('net');
    execFileSync('ip', ['netns', 'del', 'prepared']);
    assert.notEqual(namespaceOf(await startWith('net', { kind: 'none' })), host);
    await end('net');
  });

  it('leaves a legacy container’s own lines to LXC', async () => {
    execFileSync('ip', ['link', 'add', 'lxcbr0', 'type', 'bridge']);
    execFileSync('ip', ['link', 'set', 'lxcbr0', 'up']);
    const own = ['type = veth', 'link = lxcbr0', 'flags = up', 'ipv4.address = 10.0.3.2/24', 'name = eth0'];
    makeContainer('legacy', 'deaf', own.map((line) => `lxc.net.0.${line}`).join('\n'));
    const config = join(STORAGE, 'trails/0/legacy/lxc.container.conf');
    writeFileSync(config, readFileSync(config, 'utf8').replace('user net ipc', 'user ipc'));
    const pid = await startWith('legacy', { kind: 'legacy' });
    const shown = execFileSync('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', '-4', 'addr', 'show', 'eth0'], {
      encoding: 'utf8',
    });
    assert.match(shown, /10\.0\.3\.2\/24/);
    await end('legacy');
    execFileSync('ip', ['link', 'del', 'lxcbr0']);
  });
});

describe('lxc configurations as they are found', () => {
  it('starts with device rules of both versions, dropped capabilities, terminals and hooks', async () => {
    const own = [
      'lxc.cgroup2.devices.deny = a',
      'lxc.cgroup2.devices.allow = c 1:3 rwm',
      'lxc.cap.drop = sys_module mac_admin sys_time wake_alarm',
      'lxc.tty.max = 4',
      'lxc.environment = A=1',
      'lxc.init.cwd = /tmp',
      'lxc.signal.halt = SIGTERM',
      'lxc.hook.post-stop = /bin/sleep 0.2',
      'lxc.mount.entry = /etc/resolv.conf etc/resolv.conf none bind,ro,create=file,optional 0 0',
    ];
    makeContainer('found', 'obedient', own.join('\n'));
    const clean = traces();
    value(await rig.lxc.mount(mountOf('found')));
    const { pid } = value(await rig.lxc.start(startOf('found')));
    const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    // linux/capability.h: CAP_SYS_MODULE is 16, CAP_SYS_TIME 25, CAP_SYS_ADMIN 21.
    const has = (bit: bigint) => (BigInt(`0x${bounding}`) >> bit) & 1n;
    assert.deepEqual([has(16n), has(25n), has(21n)], [0n, 0n, 1n]);
    const console = join(RUNDIR, 'lxc/.consoles/found/console.log');
    await eventually('its trap is set', PATIENCE_MS, () => readFileSync(console, 'utf8').includes('ready'));
    assert.deepEqual(value(await rig.lxc.stop({ container: 'found', graceMs: 10_000 })).exit, {
      kind: 'code',
      code: 3,
    });
    value(await rig.lxc.unmount({ container: 'found' }));
    assert.deepEqual(traces(), clean);
  });

  it('starts LXC’s default init where none is named', async () => {
    makeContainer('default', 'deaf');
    const config = join(STORAGE, 'trails/0/default/lxc.container.conf');
    writeFileSync(config, readFileSync(config, 'utf8').replace(/^lxc\.init\.cmd.*$/m, ''));
    value(await rig.lxc.mount(mountOf('default')));
    const answer = await rig.lxc.start(startOf('default'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.match(answer.error.reason, /\/sbin\/init/);
    value(await rig.lxc.unmount({ container: 'default' }));
  });
});
