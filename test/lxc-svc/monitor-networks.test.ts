// LXC's monitors are where no container is: who is on the host's network, as a container may be and this test is, neither gets to their
// command sockets nor takes their names.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { commandSocketNames } from '../../services/lxc-svc/command-socket.ts';
import { connectAbstract } from '../../shared/kernel/abstract-socket.ts';
import { bind, KernelError, listen, socket } from '../../shared/kernel/libc.ts';
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, STORAGE, startOf } from './rig.ts';
import { KILLED } from './runs.ts';

reexecInNamespaces(import.meta.filename);

const [AF_UNIX, SOCK_STREAM] = [1, 1];
const namesOf = (container: string): string[] => commandSocketNames(join(RUNDIR, 'lxc'), container);
const namespaceOf = (pid: number, kind: string): string => readlinkSync(`/proc/${pid}/ns/${kind}`);

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
});
after(() => rig.close());

/** By who is on the host's network. */
function isReached(container: string): boolean {
  return namesOf(container).some((name) => {
    try {
      closeSync(connectAbstract(name));
      return true;
    } catch (error) {
      assert.ok(error instanceof KernelError && error.errno === 'ECONNREFUSED', String(error));
      return false;
    }
  });
}

/** `namespaces` in place of the line that names them; answers the pid of its init. */
async function start(container: string, network: ContainerNetwork, namespaces?: string): Promise<number> {
  if (namespaces !== undefined) {
    const config = join(STORAGE, 'trails/0', container, 'lxc.container.conf');
    writeFileSync(config, readFileSync(config, 'utf8').replace(/^lxc\.namespace\.keep = user net ipc$/m, namespaces));
  }
  rig.value(await rig.lxc.mount(mountOf(container)));
  return rig.value(await rig.lxc.start({ ...startOf(container), network })).pid;
}

async function end(container: string): Promise<void> {
  rig.value(await rig.lxc.stop({ container, graceMs: 0 }));
  rig.value(await rig.lxc.unmount({ container }));
}

describe('LXC’s monitors', () => {
  const host = namespaceOf(process.pid, 'net');

  it('are not reached from the host’s network, where their containers may be', async () => {
    const [onHost, alone] = [host, undefined];
    for (const [kind, namespaces, expected] of [
      ['none', undefined, alone],
      ['host', undefined, onHost],
      ['host', '', onHost],
      ['host', 'lxc.namespace.clone = mnt pid', onHost],
      ['legacy', undefined, onHost],
      ['legacy', 'lxc.net.0.type = none', onHost],
      ['legacy', 'lxc.namespace.keep = ipc', alone],
    ] as const) {
      makeContainer('victim', 'deaf');
      const pid = await start('victim', { kind }, namespaces);
      const network = namespaceOf(pid, 'net');
      if (expected === undefined) assert.notEqual(network, host);
      else assert.equal(network, expected, `${kind} ${namespaces}`);
      assert.equal(isReached('victim'), false, `${kind} ${namespaces}`);
      await end('victim');
    }
  });

  it('have no container beside them by a path or a pid that leads there from where they are', async () => {
    for (const path of ['/proc/self/ns/net', '/proc/thread-self/ns/net', '/proc/net/../ns/net', `${process.pid}`]) {
      for (const hook of ['', 'lxc.hook.post-stop = /bin/true']) {
        makeContainer('self', 'deaf', `lxc.namespace.share.net = ${path}\n${hook}`);
        assert.equal(namespaceOf(await start('self', { kind: 'legacy' }), 'net'), host, path);
        await end('self');
      }
    }
    makeContainer('other', 'deaf');
    const other = await start('other', { kind: 'none' });
    const [monitor = ''] = readFileSync(join(RUNDIR, 'lxc/other/monitor.pid'), 'utf8').split('\n');
    const beside = join(RUNDIR, 'lxc/.networks/monitors');
    for (const path of [beside, `/run/../${beside}`, `/proc/${monitor}/ns/net`, monitor]) {
      makeContainer('inside', 'deaf', `lxc.namespace.share.net = ${path}`);
      rig.value(await rig.lxc.mount(mountOf('inside')));
      const answer = await rig.lxc.start({ ...startOf('inside'), network: { kind: 'legacy' } });
      assert.match(JSON.stringify(answer), /lxc\.container\.conf:\d+: .*leads to the network of LXC’s monitors/, path);
      rig.value(await rig.lxc.unmount({ container: 'inside' }));
    }
    makeContainer('with', 'deaf', `lxc.namespace.share.net = /proc/${other}/ns/net`);
    const withIt = await start('with', { kind: 'legacy' });
    assert.equal(namespaceOf(withIt, 'net'), namespaceOf(other, 'net'));
    for (const container of ['with', 'other']) await end(container);
  });

  it('start and end where somebody has taken their names', async () => {
    makeContainer('taken', 'deaf');
    const fds = namesOf('taken').map((name) => {
      const fd = socket(AF_UNIX, SOCK_STREAM, 0);
      bind(fd, Buffer.concat([Buffer.from(Uint16Array.of(AF_UNIX).buffer), Buffer.from(`\0${name}`)]));
      listen(fd, 1);
      return fd;
    });
    try {
      const pid = await start('taken', { kind: 'none' });
      process.kill(pid, 'SIGKILL');
      assert.deepEqual((await rig.exitOf('taken', pid)).status, KILLED);
      await end('taken');
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  });

  it('are on the host’s network where LXC makes links, or runs hooks for the machine', async () => {
    execFileSync('ip', ['link', 'add', 'lxcbr0', 'type', 'bridge']);
    makeContainer('linked', 'deaf', 'lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\nlxc.net.0.veth.pair = vlinked');
    const linked = await start('linked', { kind: 'legacy' }, '');
    assert.ok(isReached('linked'));
    assert.ok(existsSync('/sys/class/net/vlinked'));
    makeContainer('hooked', 'deaf', `lxc.hook.pre-start = sh -c 'readlink /proc/self/ns/net >/run/hooked'`);
    await start('hooked', { kind: 'none' });
    assert.equal(readFileSync('/run/hooked', 'utf8').trim(), host);
    process.kill(linked, 'SIGKILL');
    assert.deepEqual((await rig.exitOf('linked', linked)).status, KILLED);
    for (const container of ['linked', 'hooked']) await end(container);
    execFileSync('ip', ['link', 'del', 'lxcbr0']);
  });

  it('are watched by the next service wherever they are, also where it has to ask them for the init', async () => {
    makeContainer('apart', 'deaf');
    makeContainer('builds-before', 'deaf', 'lxc.hook.post-stop = /bin/true');
    makeContainer('pids', 'deaf');
    const pids = new Map([
      ['apart', await start('apart', { kind: 'host' })],
      ['builds-before', await start('builds-before', { kind: 'none' })],
      ['pids', await start('pids', { kind: 'none' }, 'lxc.namespace.keep = pid')],
    ]);
    assert.deepEqual([isReached('apart'), isReached('builds-before'), isReached('pids')], [false, true, false]);
    await rig.kill();
    await rig.spawn();
    for (const [container, pid] of pids) {
      assert.equal(rig.value(await rig.lxc.start(startOf(container))).pid, pid);
      process.kill(pid, 'SIGKILL');
      assert.deepEqual((await rig.exitOf(container, pid)).status, KILLED);
      await end(container);
    }
  });

  it('need not find each other for a container that shares namespaces of another', async () => {
    makeContainer('first', 'deaf');
    const first = await start('first', { kind: 'none' });
    for (const [container, more] of [
      ['with-it', ''],
      ['elsewhere', 'lxc.hook.post-stop = /bin/true'],
    ] as const) {
      makeContainer(container, 'deaf', `lxc.namespace.share.uts = first\nlxc.namespace.share.net = first\n${more}`);
      const pid = await start(container, { kind: 'legacy' });
      for (const kind of ['uts', 'net']) assert.equal(namespaceOf(pid, kind), namespaceOf(first, kind), container);
      await end(container);
    }
    await end('first');
  });

  it('have a network as long as one of them is there, and no longer', async () => {
    const places = () =>
      readFileSync('/proc/self/mountinfo', 'utf8').match(/ \S+\/lxc\/\.networks\/\S+ /g)?.length ?? 0;
    makeContainer('stays', 'deaf');
    await start('stays', { kind: 'none' });
    await rig.end();
    assert.equal(places(), 2);
    await rig.spawn();
    await end('stays');
    await rig.end();
    assert.equal(places(), 0);
    await rig.spawn();
  });
});
