import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { hostInterfaceName } from '../../services/net-svc/link-names.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { addresses, internal, lan, leaseOf, link, links, makeUplink, reaches, run } from './kernel.ts';
import { dir, kill, openService } from './service.ts';

reexecInNamespaces(import.meta.filename);

const pools = [internal, lan];
const fileOf = (container: string): string => `${dir}/${container}`;

let service: Awaited<ReturnType<typeof openService>>;
let child: ChildProcess;
const tenants: ChildProcess[] = [];

interface Tenant {
  readonly pid: number;
  /** Of its network namespace. */
  readonly inode: number;
}

/** Attaches, and starts a process of another user's in the namespace, as a container's init would be. */
async function live(container: string, leases: readonly Lease[]): Promise<Tenant> {
  assert.ok((await service.net.attach({ container, interfaces: [...leases] })).ok);
  const tenant = spawn('nsenter', [`--net=${fileOf(container)}`, 'busybox', 'sleep', '1000']);
  await once(tenant, 'spawn');
  tenants.push(tenant);
  const { ino } = statSync(fileOf(container));
  const pid = tenant.pid ?? 0;
  await eventually('the tenant has moved in', PATIENCE_MS, () => statSync(`/proc/${pid}/ns/net`).ino === ino);
  return { pid, inode: ino };
}

/** What `harm` does happens while there is no net-svc. */
async function whileAway(harm: () => void): Promise<void> {
  await kill(child);
  harm();
  child = service.serve();
}

const unmount = (...containers: string[]): void => {
  for (const container of containers) run(['umount', '-l', fileOf(container)]);
};
const reasons = async (): Promise<string[]> => {
  const health = await service.ctlNet.health({});
  return health.ok ? health.value.reasons.map(({ code, message }) => `${code} ${message}`) : [];
};
const boundAgain = (container: string, { inode }: Tenant) =>
  eventually(`${container} has its file`, PATIENCE_MS, () => {
    // For a moment there is none.
    return statSync(fileOf(container), { throwIfNoEntry: false })?.ino === inode;
  });

before(async () => {
  service = await openService();
  makeUplink();
});
beforeEach(async () => {
  child = service.serve();
  assert.ok((await service.net.configure({ pools })).ok);
});
afterEach(async () => {
  for (const tenant of tenants.splice(0)) await kill(tenant);
  for (const container of ['a', 'b', 'mac', 'twin']) assert.ok((await service.net.detach({ container })).ok);
  await kill(child);
});
after(() => service.close());

describe('a namespace file that lost its mount while net-svc was dead', () => {
  it('is bound to the namespace of the container again, which keeps its address and process', async () => {
    const a = await live('a', [leaseOf(internal, 'a', 2)]);
    const b = await live('b', [leaseOf(internal, 'b', 3)]);
    await whileAway(() => unmount('a', 'b'));
    await boundAgain('a', a);
    await boundAgain('b', b);
    assert.deepEqual(addresses('eth0', fileOf('a')), ['10.0.5.2/24']);
    assert.ok(reaches('10.0.5.3', fileOf('a')));
    await eventually('health is well', PATIENCE_MS, async () => (await reasons()).length === 0);
  });

  it('is bound again by an attach that names the process, and by one that does not', async () => {
    const a = await live('a', [leaseOf(internal, 'a', 2)]);
    for (const running of [{ pid: a.pid }, {}]) {
      await whileAway(() => unmount('a'));
      const answer = await service.net.attach({ container: 'a', interfaces: [leaseOf(internal, 'a', 2)], ...running });
      assert.ok(answer.ok, JSON.stringify(answer));
      assert.equal(statSync(fileOf('a')).ino, a.inode);
      assert.ok(reaches('10.0.5.1', `/proc/${a.pid}/ns/net`));
    }
  });

  it('is bound again where there are only macvlans', async () => {
    const mac = await live('mac', [leaseOf(lan, 'mac', 10)]);
    await live('twin', [leaseOf(lan, 'twin', 11)]);
    await whileAway(() => unmount('mac'));
    await boundAgain('mac', mac);
    assert.ok(reaches('192.0.2.1', fileOf('mac')));
  });

  it('is never bound to a namespace that only looks like its own', async () => {
    const mac = await live('mac', [leaseOf(lan, 'mac', 10)]);
    const twin = await live('twin', [leaseOf(lan, 'twin', 11)]);
    // Whoever is root inside can call its interface what it likes.
    const inside = ['nsenter', `--net=${fileOf('twin')}`, 'ip', 'link', 'set', 'eth0'];
    await whileAway(() => {
      run([...inside, 'down']);
      run([...inside, 'alias', 'berth:mac/eth0']);
      run(['nsenter', `--net=${fileOf('mac')}`, 'ip', 'link', 'del', 'eth0']);
      unmount('mac');
    });
    await eventually('it is told', PATIENCE_MS, async () =>
      (await reasons()).some((text) => /namespace of mac/.test(text)),
    );
    const refused = await service.net.attach({
      container: 'mac',
      interfaces: [leaseOf(lan, 'mac', 10)],
      pid: twin.pid,
    });
    assert.ok(!refused.ok && refused.error.code === 'NET_FAILED');
    assert.match(refused.error.reason, /no process is in a namespace with its interfaces; stop and start it/);
    assert.ok(![mac.inode, twin.inode].includes(statSync(fileOf('mac')).ino));
  });

  it('is never bound to the namespace of a process that is somebody else’s', async () => {
    const a = await live('a', [leaseOf(internal, 'a', 2)]);
    const b = await live('b', [leaseOf(internal, 'b', 3)]);
    await whileAway(() => {
      unmount('a');
      run(['ip', 'link', 'del', hostInterfaceName('a', 'eth0')]);
    });
    for (const pid of [b.pid, a.pid, process.pid]) {
      const answer = await service.net.attach({ container: 'a', interfaces: [leaseOf(internal, 'a', 2)], pid });
      assert.ok(!answer.ok && answer.error.code === 'NET_FAILED', JSON.stringify(answer));
    }
    assert.equal(link(hostInterfaceName('a', 'eth0')), undefined);
    assert.deepEqual(addresses('eth0', fileOf('b')), ['10.0.5.3/24']);
  });

  it('gets a fresh namespace when the container is gone, and leaves nothing', async () => {
    const before = links().map(({ ifname }) => ifname);
    await live('a', [leaseOf(internal, 'a', 2)]);
    await whileAway(() => unmount('a'));
    await eventually('a tenant still', PATIENCE_MS, () => tenants.length === 1);
    for (const tenant of tenants.splice(0)) await kill(tenant);
    assert.ok((await service.net.detach({ container: 'a' })).ok);
    assert.ok((await service.net.attach({ container: 'a', interfaces: [leaseOf(internal, 'a', 2)] })).ok);
    assert.ok(reaches('10.0.5.1', fileOf('a')));
    assert.ok((await service.net.detach({ container: 'a' })).ok);
    // A link that was taken down is deleted a little later.
    await eventually('the links of before', PATIENCE_MS, () => {
      const now = links().map(({ ifname }) => ifname);
      return now.join() === before.join();
    });
  });
});
