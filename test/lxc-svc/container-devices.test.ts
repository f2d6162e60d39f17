// Device nodes of real containers by the rules of their revision: at the start, as devices come and go, and over a death of the service.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, afterEach, before, describe, it } from 'node:test';
import koffi from 'koffi';
import { createContainerDevices } from '../../services/lxc-svc/container-devices.ts';
import { readDevices } from '../../services/lxc-svc/device-table.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, STORAGE, startOf, traces } from './rig.ts';
import { listed } from './runs.ts';
import { allOf, end, makeScripted, runToTheEnd } from './scripted.ts';

reexecInNamespaces(import.meta.filename);

const cIoctl: (fd: number, request: number, number: number) => number = koffi
  .load(null)
  .func('int ioctl(int fd, unsigned long request, long number)');
/** linux/loop.h */
const LOOP_CTL_ADD = 0x4c80;
const LOOP_CTL_REMOVE = 0x4c81;
/** linux/netlink.h, as /proc/net/netlink has it. */
const UEVENTS = '15';
/** Of some hundred bytes each, and the queue takes 2 MiB. */
const FLOOD = 10_000;
const HOST = '/run/berth-host-folder';

let rig: Rig;
const plugged = new Set<number>();

function controlLoop(request: number, number: number): void {
  const fd = openSync('/dev/loop-control', 'r+');
  try {
    assert.ok(cIoctl(fd, request, number) >= 0, `loop ${number}: errno ${koffi.errno()}`);
  } finally {
    closeSync(fd);
  }
}

interface Plug {
  readonly name: string;
  readonly plugIn: () => void;
  readonly unplug: () => void;
}

/** A device that is not there. Nobody who looks for a free one comes that far. */
function newDevice(): Plug {
  const number = randomInt(5_000, 60_000);
  return {
    name: `loop${number}`,
    plugIn() {
      controlLoop(LOOP_CTL_ADD, number);
      plugged.add(number);
    },
    unplug() {
      controlLoop(LOOP_CTL_REMOVE, number);
      plugged.delete(number);
    },
  };
}

function pluggedIn(): Plug {
  const device = newDevice();
  device.plugIn();
  return device;
}

const start = async (container: string, deviceRules?: string[]): Promise<string> => {
  rig.value(await rig.lxc.mount({ ...mountOf(container), ...(deviceRules === undefined ? {} : { deviceRules }) }));
  const { pid } = rig.value(await rig.lxc.start(startOf(container)));
  return `/proc/${pid}/root/dev`;
};
const comes = (path: string) => eventually(`${path} comes`, PATIENCE_MS, () => existsSync(path));
const goes = (path: string) => eventually(`${path} goes`, PATIENCE_MS, () => !existsSync(path));
const ears = (): number =>
  readFileSync('/proc/net/netlink', 'utf8')
    .split('\n')
    .filter((row) => row.trim().split(/\s+/)[1] === UEVENTS && row.trim().split(/\s+/)[2] !== '0').length;

before(async () => {
  mkdirSync(STORAGE, { recursive: true });
  rig = await openRig();
  await rig.spawn();
});
after(() => rig.close());
afterEach(() => {
  for (const number of plugged) controlLoop(LOOP_CTL_REMOVE, number);
  plugged.clear();
});

describe('device nodes of a container', () => {
  it('are there before its init runs, as its rules say, and LXC’s own beside them', async () => {
    const clean = traces();
    const devices = [...readDevices().values()];
    const inFolder = devices.find(({ name }) => name.includes('/'))?.name ?? 'full';
    const look = `busybox stat -c '%n %F %a %u:%g %t:%T' /dev/loop-control /dev/zero /dev/kmsg /dev/${inFolder} /dev/mine/random; ls -l /dev/random; busybox stat -c '%n %F' /dev/console /dev/pts/ptmx /dev/shm; echo open >/dev/null`;
    makeScripted('nodes', look, ['shm dev/shm tmpfs create=dir 0 0']);
    const deviceRules = ['loop-control 7:8 604', 'zero 0:5 640', 'random 0:0 666 >mine/', 'kmsg 0:0 600 !'];
    const said = await runToTheEnd(rig, 'nodes', { ...allOf('nodes'), deviceRules });
    assert.match(said, /\/dev\/loop-control character special file 604 7:8 a:ed/);
    assert.match(said, /\/dev\/zero character special file 640 0:5 1:5/);
    assert.match(said, /kmsg.*No such file/);
    assert.match(said, new RegExp(`/dev/${inFolder} \\w+ special file 6[06][06] 0:0`), 'others are root’s');
    assert.match(said, /\/dev\/mine\/random character special file 666 0:0 1:8/);
    assert.match(said, /\/dev\/random -> mine\/random/);
    for (const each of ['console', 'pts/ptmx']) assert.match(said, new RegExp(`/dev/${each} character special file`));
    assert.match(said, /\/dev\/shm directory/);
    assert.equal(statSync(join(RUNDIR, 'lxc/nodes/devices')).mode & 0o077, 0, 'nobody else on the host gets to them');
    await end(rig, 'nodes');
    assert.deepEqual(traces(), clean);
    assert.equal(existsSync(join(RUNDIR, 'lxc/nodes/devices')), false);
  });

  it('can be opened only as far as its lxc.cgroup.devices go', async () => {
    const look =
      'busybox head -c 1 /dev/urandom >/dev/zero && echo may; busybox head -c 1 /dev/random && echo must not';
    makeScripted('denied', look, []);
    appendFileSync(join(STORAGE, 'trails/0/denied/lxc.container.conf'), 'lxc.cgroup.devices.deny = c 1:8 rwm\n');
    const said = await runToTheEnd(rig, 'denied', { ...allOf('denied'), deviceRules: ['.* 0:0 666'] });
    assert.match(said, /may/);
    assert.match(said, /\/dev\/random: Operation not permitted/);
    assert.doesNotMatch(said, /must not/);
    await end(rig, 'denied');
  });

  it('come and go with the devices while it runs, and again after a death of the service', async () => {
    makeContainer('plug', 'deaf');
    const dev = await start('plug', ['loop[0-9]+ 0:6 620 =disks/', '.* 0:0 666']);
    const first = pluggedIn();
    await comes(`${dev}/disks/${first.name}`);
    await eventually('its owner', PATIENCE_MS, () => {
      const { mode, gid } = statSync(`${dev}/disks/${first.name}`);
      return gid === 6 && (mode & 0o777) === 0o620;
    });
    await rig.kill();
    first.unplug();
    const second = pluggedIn();
    await rig.spawn();
    await comes(`${dev}/disks/${second.name}`);
    await goes(`${dev}/disks/${first.name}`);
    const third = pluggedIn();
    await comes(`${dev}/disks/${third.name}`);
    for (const { name, unplug } of [second, third]) {
      unplug();
      await goes(`${dev}/disks/${name}`);
    }
    await end(rig, 'plug');
  });

  it('are all there also where the kernel had more to say than there was room for', async () => {
    makeContainer('flood', 'deaf');
    const dev = await start('flood', ['.* 0:0 666']);
    const gone = pluggedIn();
    await comes(`${dev}/${gone.name}`);
    process.kill(rig.pid(), 'SIGSTOP');
    let device: Plug;
    try {
      for (let count = 0; count < FLOOD; count += 1) writeFileSync('/sys/dev/char/1:7/uevent', 'change');
      gone.unplug();
      device = pluggedIn();
    } finally {
      process.kill(rig.pid(), 'SIGCONT');
    }
    await comes(`${dev}/${device.name}`);
    await goes(`${dev}/${gone.name}`);
    await end(rig, 'flood');
  });

  it('lead nowhere else by links that it makes in its /dev', async () => {
    mkdirSync(HOST, { recursive: true });
    const make = `mkdir -p /dev/hot; busybox rm -rf /dev/hot; busybox ln -s ${HOST} /dev/hot; busybox ln -s ${HOST}/made /dev/later`;
    makeScripted('links', make, []);
    const device = newDevice();
    const deviceRules = [`-${device.name} 0:0 666 =hot/`, `${device.name} 0:0 666 =later`];
    await runToTheEnd(rig, 'links', { ...allOf('links'), deviceRules });
    device.plugIn();
    await eventually('it is told', PATIENCE_MS, () =>
      /links: its \/dev is not as the devices are: .*hot/.test(rig.output()),
    );
    assert.deepEqual(readdirSync(HOST), []);
    device.unplug();
    await end(rig, 'links');
    assert.deepEqual(readdirSync(HOST), []);
  });

  it('leave what it made itself where it was', async () => {
    makeScripted('own', 'echo its >/dev/mine', []);
    const device = newDevice();
    const deviceRules = [`-${device.name} 0:0 666 =mine`, '.* 0:0 666'];
    await runToTheEnd(rig, 'own', { ...allOf('own'), deviceRules });
    const dev = `/proc/${(await listed(rig, 'own'))?.running?.pid}/root/dev`;
    device.plugIn();
    await comes(`${dev}/${device.name}`);
    assert.equal(readFileSync(`${dev}/mine`, 'utf8'), 'its\n');
    device.unplug();
    await goes(`${dev}/${device.name}`);
    assert.equal(readFileSync(`${dev}/mine`, 'utf8'), 'its\n');
    await end(rig, 'own');
  });

  it('are those of the rules that it is mounted with last, also where a build without any mounted it', async () => {
    makeContainer('older', 'deaf');
    rig.value(await rig.lxc.mount(mountOf('older')));
    const dev = await start('older', ['.* 0:0 666']);
    assert.ok(existsSync(join(dev, 'loop-control')));
    await end(rig, 'older');
  });

  it('cost nothing where no container has rules', async () => {
    makeContainer('plain', 'deaf');
    makeContainer('ruled', 'deaf');
    const dev = await start('plain');
    assert.equal(ears(), 0);
    assert.equal(existsSync(join(RUNDIR, 'lxc/plain/devices')), false);
    assert.equal(existsSync(join(dev, 'loop-control')), false);
    await start('ruled', []);
    assert.equal(ears(), 1);
    await end(rig, 'ruled');
    await eventually('it listens no more', PATIENCE_MS, () => ears() === 0);
    await end(rig, 'plain');
  });
});

describe('device nodes where uevents are lost', () => {
  const places = { rundir: '/run/berth-deaf', storage: STORAGE, tree: 'deaf' };
  const context = { places, log: silentLogger, rulesOf: () => undefined };
  /** Answers the names of the nodes that it has now. */
  const prepare = (devices: ReturnType<typeof createContainerDevices>, container: string): (() => string[]) => {
    const folder = devices.prepare(container, ['.* 0:0 666'], 65_536);
    return () => readdirSync(folder);
  };
  after(() => {
    for (const container of ['one', 'two'])
      execFileSync('umount', [join(places.rundir, 'lxc', container, 'devices/dev')]);
  });

  it('are those of the devices at each start, where there was never anything to hear', () => {
    const devices = createContainerDevices(context, () => {
      throw new Error('no netlink');
    });
    const before = pluggedIn();
    assert.ok(prepare(devices, 'one')().includes(before.name));
    before.unplug();
    const later = pluggedIn();
    const nodes = prepare(devices, 'two')();
    assert.deepEqual([nodes.includes(before.name), nodes.includes(later.name)], [false, true]);
    devices.close();
  });

  it('are right again from the next start on, also of containers that were running', () => {
    const lost: ((error: unknown) => void)[] = [];
    let open = 0;
    const devices = createContainerDevices(context, (_onDevices, onLost) => {
      lost.push(onLost);
      open += 1;
      return { close: () => (open -= 1) };
    });
    const before = pluggedIn();
    const one = prepare(devices, 'one');
    lost[0]?.(new Error('ENOMEM'));
    before.unplug();
    const later = pluggedIn();
    const two = prepare(devices, 'two');
    for (const nodes of [one(), two()])
      assert.deepEqual([nodes.includes(before.name), nodes.includes(later.name)], [false, true]);
    assert.equal(lost.length, 2);
    lost[0]?.(new Error('of the one before'));
    devices.close();
    assert.equal(open, 1, 'the one that was lost needs no closing, the other is closed');
  });
});

describe('a container with rules for devices and a /dev of its own', () => {
  it('starts without these, and that is told', async () => {
    makeContainer('image', 'deaf', 'lxc.autodev = 0');
    const dev = await start('image', ['.* 0:0 666']);
    assert.match(rig.output(), /image: mdev\.json makes no device nodes: it has lxc\.autodev = 0/);
    assert.equal(existsSync(join(dev, 'loop-control')), false);
    await end(rig, 'image');
  });
});
