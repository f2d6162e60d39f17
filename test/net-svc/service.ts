// net-svc as a real process with the contract's privileges only, on a broker in the test's process.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, mkdirSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { netContract } from '../../services/net-svc/contract.ts';
import { createBroker } from '../../shared/ipc/broker.ts';
import { createChannel } from '../../shared/ipc/channel.ts';
import type { Channel, ServiceName } from '../../shared/ipc/contract.ts';
import { CONTRACTS_HASH } from '../../shared/ipc/contracts-hash.ts';
import { memoryPorts } from '../../shared/ipc/memory-port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { patient } from '../kit/patient.ts';
import { bundle, NODE, uid, unprivileged } from './bundle.ts';

const rundir = '/run/berth';
export const dir = `${rundir}/netns`;

/** The broker, state-svc and ctl-svc are in this process. `nat`: what BERTH_NAT says. */
export async function openService(nat = 'auto', more: readonly { key: string; value: string; origin: string }[] = []) {
  const settings = [{ key: 'BERTH_NAT', value: nat, origin: 'command' }, ...more];
  const launch = { service: 'net-svc', rundir, storage: '/run/storage', mode: 'appengine', settings };
  mkdirSync(dir, { recursive: true });
  chownSync(dir, uid, uid);
  const file = await bundle('services/net-svc/main.ts', '/run/service');
  const broker = createBroker({
    contracts: [netContract],
    contractsHash: CONTRACTS_HASH,
    log: silentLogger,
    listener: { onReady: () => undefined, onBeat: () => undefined, onGone: () => undefined },
  });
  const connect = (service: ServiceName): Channel => {
    const [brokerEnd, ownEnd] = memoryPorts();
    broker.attach(service, brokerEnd);
    return createChannel(ownEnd, { contractsHash: CONTRACTS_HASH, log: silentLogger, beatMs: 0 });
  };
  const log: string[] = [];
  const serve = (): ChildProcess => {
    const [command = '', ...args] = unprivileged([...NODE, file]);
    const env = { PATH: process.env.PATH, BERTH_LAUNCH: JSON.stringify(launch) };
    const [brokerFd, childFd] = unixSocketPair();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit', childFd], env });
    closeSync(childFd);
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => log.push(line));
    broker.attach('net-svc', socketPort(brokerFd));
    return child;
  };
  const ctl = connect('ctl-svc');
  const state = connect('state-svc');
  const onAwaited = new Set<() => void>();
  const toldAwaited = (): void => {
    for (const resolve of onAwaited) resolve();
    onAwaited.clear();
  };
  state.subscribe(netContract, 'awaitedChanged', { onEvent: toldAwaited, onLost: toldAwaited });
  return {
    net: state.client(patient(netContract)),
    /** What pools wait for changes, from now on. */
    awaitedChanged: () => new Promise<void>((resolve) => onAwaited.add(resolve)),
    ctl,
    ctlNet: ctl.client(patient(netContract)),
    serve,
    log,
    /** The service sees the end of its socket, as when the supervisor asks for it. */
    disconnect: () => broker.detach('net-svc'),
    close: () => broker.close(),
  };
}

/** Also one that has ended by itself, or that a hook which failed never started. */
export async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
