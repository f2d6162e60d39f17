// ctl-svc as it runs on a device: bundled, as its own user, without capabilities, behind Node's permission model, with
// listening sockets that it inherited.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { build } from 'esbuild';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { PERMISSION_FLAG } from '../../services/supervisor/spawn-service.ts';
import { type Broker, createBroker } from '../../shared/ipc/broker.ts';
import { createChannel } from '../../shared/ipc/channel.ts';
import type { Channel, ServiceName } from '../../shared/ipc/contract.ts';
import { CONTRACTS_HASH } from '../../shared/ipc/contracts-hash.ts';
import { memoryPorts } from '../../shared/ipc/memory-port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { bindAndListen, listenUnix, unboundUnixSocket, unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { LAUNCH_VARIABLE } from '../../shared/service/launch.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { newWorld, startPeers } from './fake-peers.ts';
import { ALL_CONTRACTS, curl, until } from './rig.ts';

const LISTEN = { mode: 0o666, backlog: 16 };
const HOST_FD = 4;
const BANK_FD = 5;

describe('ctl process', { skip: process.getuid?.() !== 0 && 'needs root, to become another user' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'ctl-process-'));
  const program = join(folder, 'ctl-svc.cjs');
  const hostPath = join(folder, 'pv-ctrl');
  const channels = new Map<ServiceName, Channel>();
  const world = newWorld();
  let broker: Broker;
  let kill: () => Promise<void>;
  let bankFd = -1;

  before(async () => {
    chmodSync(folder, 0o755);
    await build({
      entryPoints: ['services/ctl-svc/main.ts'],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'cjs',
    });
    let announceReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      announceReady = resolve;
    });
    broker = createBroker({
      contracts: ALL_CONTRACTS,
      contractsHash: CONTRACTS_HASH,
      log: silentLogger,
      listener: {
        onReady: (service) => (service === 'ctl-svc' ? announceReady() : undefined),
        onBeat: () => undefined,
        onGone: () => undefined,
      },
    });
    startPeers(world, (service) => {
      const [brokerEnd, serviceEnd] = memoryPorts();
      broker.attach(service, brokerEnd);
      const channel = createChannel(serviceEnd, { contractsHash: CONTRACTS_HASH, log: silentLogger, beatMs: 0 });
      channels.set(service, channel);
      return channel;
    });
    const hostFd = listenUnix(hostPath, LISTEN);
    bankFd = unboundUnixSocket();
    const id = String(resolveUid('berth-ctl'));
    const privileges = ['--reuid', id, '--regid', id, '--clear-groups', '--bounding-set', '-all', '--no-new-privs'];
    const fences = ['--disallow-code-generation-from-strings', PERMISSION_FLAG, '--no-warnings'];
    const [brokerFd, childFd] = unixSocketPair();
    const child = spawn(
      'setpriv',
      [...privileges, process.execPath, ...fences, `--allow-fs-read=${program}`, program],
      {
        stdio: ['ignore', 'ignore', 'inherit', childFd, hostFd, bankFd],
        env: {
          [LAUNCH_VARIABLE]: JSON.stringify({
            service: 'ctl-svc',
            rundir: folder,
            storage: folder,
            mode: 'appengine',
            hostSocketFd: HOST_FD,
          }),
        },
      },
    );
    for (const fd of [hostFd, childFd]) closeSync(fd);
    const exited = once(child, 'exit');
    kill = async () => {
      child.kill('SIGKILL');
      await exited;
    };
    broker.attach('ctl-svc', socketPort(brokerFd));
    await Promise.race([ready, exited.then(() => assert.fail('ctl-svc ended before it was ready'))]);
  });
  after(async () => {
    await kill();
    broker.close();
    closeSync(bankFd);
    rmSync(folder, { recursive: true });
    world.store.remove();
  });

  it('serves the inherited host socket', async () => {
    const { status, body } = await curl(hostPath, '/containers');
    assert.equal(status, 200);
    assert.match(body, /^\[\{"name":"web"/);
  });

  it('serves a socket of the bank that was bound after its start', async () => {
    const path = join(folder, 'base');
    bindAndListen(bankFd, path, LISTEN);
    channels.get('supervisor')?.publish(supervisorContract, 'controlSocketOpened', { container: 'base', fd: BANK_FD });
    await until(async () => (await curl(path, '/containers')).status === 403);
  });
});
