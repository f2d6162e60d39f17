// A device that boots: init starts the tree, containers of a pool have addresses and are reached, and all of that comes back.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { SourceContainer } from '../test/kit/step.ts';
import { command, killSupervisor, leases, packed, settled } from './device.ts';
import { needs, openTarget, targetName } from './open-target.ts';
import { bootId, output, type Target } from './target.ts';

const POOL = {
  network: { pools: { internal: { bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true } } },
};
const SERVER: SourceContainer = {
  args: { PV_NETWORK_POOL: 'internal' },
  init: "trap 'exit 0' TERM PWR\necho hello >/tmp/index.html\n/bin/busybox httpd -f -p 8080 -h /tmp &\nwait $!\n",
};

describe(`hw.boot on ${targetName()}`, () => {
  let target: Target;
  before(async () => {
    target = await openTarget(packed({ one: SERVER, two: SERVER }, POOL));
    await target.powerOn();
    await settled(target);
  });
  after(() => target?.close());

  const pids = async () => (await settled(target)).map(({ name, pid }) => `${name} ${pid}`);
  const own = () => leases(target, ['one', 'two']);
  const held = async () => (await own()).map(({ owner, address }) => `${owner} ${address}`).sort();

  it('gives every container of the pool an address, under which it is reached', async () => {
    for (const { address } of await own()) {
      const page = await output(target, ['curl', '-s', '-m', '60', `http://${address}:8080/`]);
      assert.equal(page, 'hello\n');
    }
    assert.equal((await held()).length, 2);
  });

  it('works with control groups of version 2 alone', async (test) => {
    if (!needs(test, target, 'pure-cgroup2')) return;
    assert.doesNotMatch(await output(target, ['cat', '/proc/mounts']), /^\S+ \S+ cgroup /m);
  });

  it('starts the supervisor again when it was killed, and every container keeps its process', async (test) => {
    if (!needs(test, target, 'init')) return;
    const before = await pids();
    await killSupervisor(target);
    assert.deepEqual(await pids(), before);
  });

  it('comes back from a reboot with the same leases', async (test) => {
    if (!needs(test, target, 'reboot')) return;
    const [boot, before] = [await bootId(target), await held()];
    await command(target, 'REBOOT_DEVICE');
    await target.rebooted(boot);
    await settled(target);
    assert.deepEqual(await held(), before);
  });

  it('comes back from a power cut with the same leases', async (test) => {
    if (!needs(test, target, 'cut')) return;
    const before = await held();
    await target.cut();
    await target.powerOn();
    await settled(target);
    assert.deepEqual(await held(), before);
  });
});
