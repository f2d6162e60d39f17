import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { attach } from '../../services/net-svc/attachments.ts';
import { createDetachedSweep, createDetachQueue, detach } from '../../services/net-svc/detachments.ts';
import { hostInterfaceName } from '../../services/net-svc/link-names.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { failsAt, useNamespaces } from './attach-rig.ts';
import { internal, lab, leaseOf, link, pings, reaches, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const { namespaces, netnsOf, hostState } = useNamespaces();
const home = readlinkSync('/proc/thread-self/ns/net');

describe('net.detach', () => {
  it('leaves neither link nor file nor mount, and is a no-op after that', () => {
    const before = hostState();
    attach(namespaces, 'gone', [leaseOf(internal, 'gone', 2), leaseOf(lab, 'gone', 2, 'eth1')]);
    detach(namespaces, 'gone');
    assert.deepEqual(hostState(), before);
    assert.ok(!run(['cat', '/proc/self/mountinfo']).includes(netnsOf('gone')));
    detach(namespaces, 'gone');
    detach(namespaces, 'never-seen');
  });

  it('frees the names at once: the same container attaches again and again', () => {
    for (let round = 0; round < 10; round++) {
      attach(namespaces, 'loop', [leaseOf(internal, 'loop', 2)]);
      detach(namespaces, 'loop');
    }
  });

  it('takes containers off together that are asked for together, and each answer is its own', async () => {
    const before = hostState();
    const sweep = createDetachedSweep(assert.fail);
    const queue = createDetachQueue(namespaces, () => false, sweep.later);
    attach(namespaces, 'stays', [leaseOf(internal, 'stays', 2)]);
    for (let i = 0; i < 5; i++) attach(namespaces, `g${i}`, [leaseOf(internal, `g${i}`, 10 + i)]);
    run(['umount', '-l', netnsOf('g3')]);
    run(['rm', netnsOf('g3')]);
    run(['mkdir', '-p', `${netnsOf('g3')}/in-the-way`]);
    const answers = await Promise.allSettled([0, 1, 2, 3, 4, 4].map((i) => queue(`g${i}`)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
    );
    run(['rm', '-r', netnsOf('g3')]);
    assert.ok(reaches('10.0.5.1', netnsOf('stays')));
    await queue('stays');
    await eventually('the end of their links', PATIENCE_MS, () => isDeepStrictEqual(hostState(), before));
  });

  it('frees address, MAC and name at once where somebody lives on in the namespace, whose link goes a moment later', async () => {
    const before = hostState();
    const sweep = createDetachedSweep(assert.fail);
    const queue = createDetachQueue(namespaces, () => false, sweep.later);
    const leases = [leaseOf(internal, 'kept', 2)];
    attach(namespaces, 'kept', leases);
    const tenant = spawn('nsenter', [`--net=${netnsOf('kept')}`, 'busybox', 'sleep', '1000']);
    try {
      await once(tenant, 'spawn');
      const own = `/proc/${tenant.pid}/ns/net`;
      await eventually('it in there', PATIENCE_MS, () => readlinkSync(own) !== home);
      await queue('kept');
      assert.equal(link(hostInterfaceName('kept', 'eth0')), undefined);
      assert.ok(!pings('10.0.5.1', own));
      attach(namespaces, 'kept', leases);
      assert.ok(reaches('10.0.5.1', netnsOf('kept')));
      await eventually('the end of the former link', PATIENCE_MS, () => link('eth0', own) === undefined);
      assert.ok(reaches('10.0.5.1', netnsOf('kept')));
      await queue('kept');
    } finally {
      sweep.close();
      tenant.kill('SIGKILL');
    }
    await eventually('the end of both', PATIENCE_MS, () => isDeepStrictEqual(hostState(), before));
  });

  it('spares links that a predecessor marked for deletion and that are attached again', () => {
    attach(namespaces, 'spared', [leaseOf(internal, 'spared', 2)]);
    run(['ip', 'link', 'set', hostInterfaceName('spared', 'eth0'), 'group', String(0x62657274)]);
    attach(namespaces, 'other', [leaseOf(internal, 'other', 3)]);
    detach(namespaces, 'other');
    assert.equal(link(hostInterfaceName('other', 'eth0')), undefined);
    assert.ok(reaches('10.0.5.1', netnsOf('spared')));
  });

  it('goes on past a failure and reports it', () => {
    const path = netnsOf('stuck');
    attach(namespaces, 'stuck', [leaseOf(internal, 'stuck', 2)]);
    run(['umount', '-l', path]);
    run(['rm', path]);
    run(['mkdir', '-p', `${path}/in-the-way`]);
    assert.throws(() => detach(namespaces, 'stuck'), failsAt(/^detach stuck$/, /remove the namespace of stuck/));
    assert.equal(link(hostInterfaceName('stuck', 'eth0')), undefined);
    run(['rm', '-r', path]);
  });
});
