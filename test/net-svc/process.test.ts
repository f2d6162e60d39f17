import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { netContract } from '../../services/net-svc/contract.ts';
import { createBroker } from '../../shared/ipc/broker.ts';
import { createChannel } from '../../shared/ipc/channel.ts';
import { CONTRACTS_HASH } from '../../shared/ipc/contracts-hash.ts';
import { memoryPorts } from '../../shared/ipc/memory-port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { bundle, NODE, uid, unprivileged } from './bundle.ts';
import { internal, lab, leaseOf, links, pings, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const rundir = '/run/berth';
const dir = `${rundir}/netns`;
const launch = { service: 'net-svc', rundir, storage: '/run/storage', mode: 'appengine' };
const containers = ['a', 'b', 'c', 'd', 'e'];
const leasesOf = (container: string) => {
  const host = 10 + containers.indexOf(container);
  return [leaseOf(internal, container, host), leaseOf(lab, container, host, 'lab0')];
};

/** The broker with state-svc in this process; net-svc is a real process on a socketpair. */
async function start() {
  mkdirSync(dir, { recursive: true });
  chownSync(dir, uid, uid);
  const file = await bundle('services/net-svc/main.ts', '/run/service');
  const broker = createBroker({
    contracts: [netContract],
    contractsHash: CONTRACTS_HASH,
    log: silentLogger,
    listener: { onReady: () => undefined, onBeat: () => undefined, onGone: () => undefined },
  });
  const [brokerEnd, ownEnd] = memoryPorts();
  broker.attach('state-svc', brokerEnd);
  const channel = createChannel(ownEnd, { contractsHash: CONTRACTS_HASH, log: silentLogger, beatMs: 0 });
  const serve = (): ChildProcess => {
    const [command = '', ...args] = unprivileged([...NODE, file]);
    const env = { PATH: process.env.PATH, BERTH_LAUNCH: JSON.stringify(launch) };
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit', 'pipe'], env });
    child.stdout?.on('data', (chunk: Buffer) => log.push(...String(chunk).split('\n')));
    const socket = child.stdio[3];
    assert.ok(socket instanceof Socket);
    broker.attach('net-svc', socketPort(socket));
    return child;
  };
  const log: string[] = [];
  return { net: channel.client(netContract), serve, log, close: () => broker.close() };
}

const kill = async (child: ChildProcess): Promise<void> => {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
};

describe('net-svc as a process', () => {
  it('knows after SIGKILL what it did before, and changes nothing of it', async () => {
    const { net, serve, log, close } = await start();
    const first = serve();
    after(close);
    assert.deepEqual(await net.configure({ pools: [internal, lab] }), { ok: true, value: { nat: 'nftables' } });
    const attached = await net.attach({ container: 'a', interfaces: leasesOf('a') });
    assert.ok(attached.ok);
    const before = run(['ip', 'addr']);
    await kill(first);
    assert.ok(pings('10.0.5.1', attached.value.netns));
    const second = serve();
    assert.deepEqual(await net.listAttachments({}), { ok: true, value: { attachments: [attached.value] } });
    assert.deepEqual(await net.attach({ container: 'a', interfaces: leasesOf('a') }), attached);
    assert.equal(run(['ip', 'addr']).replaceAll(/state \w+/g, ''), before.replaceAll(/state \w+/g, ''));
    assert.deepEqual(await net.detach({ container: 'a' }), { ok: true, value: {} });
    const lines = log.filter(Boolean).map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.filter(({ src }) => src === 'ipam').map(({ msg }) => msg),
      [
        'created bridge pvbr0 with IP 10.0.5.1/24',
        'created bridge pvbr1 with IP 10.0.6.1/24',
        'setup NAT (nftables) for pool internal',
        'switched on net.ipv4.ip_forward',
      ],
    );
    await kill(second);
  });

  it('can be killed in the middle of anything: the next one finishes or removes it', async () => {
    const { net, serve, close } = await start();
    after(close);
    let child = serve();
    await net.configure({ pools: [internal, lab] });
    for (let round = 0; round < 12; round++) {
      // Nobody waits for these: they die with the service, each time after another one was answered.
      const calls = containers.map((container) =>
        round % 2 === 0 ? net.attach({ container, interfaces: leasesOf(container) }) : net.detach({ container }),
      );
      await calls[round % calls.length];
      const ended = kill(child);
      await Promise.allSettled([ended, ...calls.slice(0, round % calls.length)]);
      child = serve();
      await Promise.allSettled(calls);
    }
    for (const container of containers) {
      const answer = await net.attach({ container, interfaces: leasesOf(container) });
      assert.ok(answer.ok, JSON.stringify(answer));
      assert.ok(pings('10.0.6.1', `${dir}/${container}`));
      assert.ok(pings('10.0.5.1', `${dir}/${container}`));
    }
    const answers = await Promise.all(containers.map((container) => net.detach({ container })));
    assert.ok(answers.every(({ ok }) => ok));
    assert.deepEqual(await net.configure({ pools: [] }), { ok: true, value: { nat: 'unneeded' } });
    assert.deepEqual(
      links().map(({ ifname }) => ifname),
      ['lo'],
    );
    assert.deepEqual(readdirSync(dir), []);
    assert.equal(run(['nft', 'list', 'ruleset']), '');
    await kill(child);
  });
});
