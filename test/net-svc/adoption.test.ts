// state-svc that starts anew asks for the network of containers that run (`pid`): what they made of it themselves stays theirs.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { addresses, defaultRoutes, internal, lab, leaseOf, reaches, run } from './kernel.ts';
import { dir, kill, openService } from './service.ts';
import { quiet, watchNetwork } from './watchers.ts';

reexecInNamespaces(import.meta.filename);

const WEB = `${dir}/web`;
const service = await openService();
let child: ChildProcess;
/** A process that lives in the container's namespace, as its init would. */
let tenant: ChildProcess;
const lease = leaseOf(internal, 'web', 2);
const adopt = async (adopted = lease): Promise<void> => {
  const attached = await service.net.attach({ container: 'web', interfaces: [adopted], pid: tenant.pid ?? 0 });
  assert.ok(attached.ok, JSON.stringify(attached));
};
const routes = (): string[] => run(['ip', '-4', 'route'], WEB).trim().split('\n').sort();

before(async () => {
  child = service.serve();
  assert.ok((await service.net.configure({ pools: [internal, lab] })).ok);
  assert.ok((await service.net.attach({ container: 'web', interfaces: [lease] })).ok);
  tenant = spawn('nsenter', [`--net=${WEB}`, 'busybox', 'sleep', '1000']);
  const home = `/proc/${tenant.pid}/ns/net`;
  await eventually('the tenant has moved in', PATIENCE_MS, () => statSync(home).ino === statSync(WEB).ino);
  run(['ip', 'addr', 'add', '10.9.9.9/32', 'dev', 'eth0'], WEB);
  run(['ip', 'route', 'add', '198.51.100.0/24', 'via', '10.0.5.1', 'src', '10.9.9.9'], WEB);
});
after(async () => {
  await kill(tenant);
  await service.net.detach({ container: 'web' });
  await service.net.configure({ pools: [] });
  await kill(child);
  service.close();
});

describe('net.attach of a container that runs', () => {
  it('leaves the addresses and routes that it added to its interface, and sends no message that changes anything', async () => {
    run(['ip', 'route', 'replace', 'default', 'via', '10.0.5.77'], WEB);
    const held = [addresses('eth0', WEB), routes()];
    await quiet();
    const watcher = await watchNetwork(WEB);
    await adopt();
    assert.deepEqual(await watcher.changes(), []);
    assert.deepEqual([addresses('eth0', WEB), routes()], held);
    run(['ip', 'route', 'replace', 'default', 'via', '10.0.5.1'], WEB);
  });

  it('brings back what it had from us and lost', async () => {
    run(['ip', 'addr', 'del', '10.0.5.2/24', 'dev', 'eth0'], WEB);
    await adopt();
    assert.deepEqual(addresses('eth0', WEB).sort(), ['10.0.5.2/24', '10.9.9.9/32']);
    assert.deepEqual(defaultRoutes(WEB), [{ gateway: '10.0.5.1', dev: 'eth0' }]);
  });

  it('takes away the address that was its lease, and the route through its gateway, where it has another lease now', async () => {
    // The kernel takes it along with the first one of its subnet.
    run(['ip', 'addr', 'add', '10.0.5.99/24', 'dev', 'eth0'], WEB);
    const moved = { ...lease, address: '10.0.5.3' };
    await adopt(moved);
    assert.deepEqual(addresses('eth0', WEB).sort(), ['10.0.5.3/24', '10.0.5.99/24', '10.9.9.9/32']);
    assert.ok(reaches('10.0.5.1', WEB));
    // The same address, and another way out.
    const rerouted = { ...moved, gateway: '10.0.5.254' };
    await adopt(rerouted);
    assert.deepEqual(defaultRoutes(WEB), [{ gateway: '10.0.5.254', dev: 'eth0' }]);
    assert.deepEqual(addresses('eth0', WEB).sort(), ['10.0.5.3/24', '10.0.5.99/24', '10.9.9.9/32']);
  });

  it('leaves only what is asked for where nobody knows what it had from us', async () => {
    await kill(child);
    run(['rm', `${dir}/.desired.json`]);
    child = service.serve();
    assert.ok((await service.net.configure({ pools: [internal, lab] })).ok);
    await adopt();
    assert.deepEqual(addresses('eth0', WEB), ['10.0.5.2/24']);
    assert.deepEqual(defaultRoutes(WEB), [{ gateway: '10.0.5.1', dev: 'eth0' }]);
  });
});
