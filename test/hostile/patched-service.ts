// A service that somebody has taken over, whichever it is started as: it asks everything of everybody, says what others say, and tries
// what it has no business with. What came of it, it tells the test over a socket.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type NetConnectOpts, Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { ALL_CONTRACTS, SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import type { Channel, Contract, Handlers } from '../../shared/ipc/contract.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { LAUNCH_VARIABLE, launch } from '../../shared/service/launch.ts';
import { runService } from '../../shared/service/run-service.ts';
import { KNOWN_CONTAINER, OUTSIDE, REPORT_SOCKET, SUPERVISOR_LOG_SOCKET } from './taken-over.ts';

/** No request has it: those that may be asked are not carried out. */
const NONSENSE = { nonsense: 'of a stranger' };

/** Of files that these put into folders, and others of these may then read. */
const MARK = '.taken-over-';

async function askEverything(channel: Channel): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const contract of ALL_CONTRACTS) {
    const client: Readonly<Record<string, (params: unknown) => Promise<unknown>>> = channel.client<Contract>(contract);
    for (const name of Object.keys(contract.requests)) {
      const answer = client[name]?.(NONSENSE);
      outcomes[`${contract.service}.${name}`] = await Promise.resolve(answer).then(
        () => 'answered',
        (error: unknown) => (error instanceof Fault ? error.code : String(error)),
      );
    }
  }
  return outcomes;
}

async function outcomeOf(act: () => unknown): Promise<string> {
  try {
    await act();
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

/** Throws unless some byte of the file, or of a file in the folder, can be had. */
function read(path: string): void {
  if (!statSync(path).isDirectory()) return void readFileSync(path);
  const [first] = readdirSync(path, { withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.name.startsWith(MARK),
  );
  if (first === undefined) throw new Error(`${path} has no file`);
  readFileSync(join(path, first.name));
}

/** Of those that the revision names. */
function anObject(storage: string): string {
  const [digest] = /\b[0-9a-f]{64}\b/.exec(readFileSync(join(storage, 'trails/0/.pvr/json'), 'utf8')) ?? [];
  return digest ?? 'none';
}

/** Throws unless a file can be put into the folder. */
function write(folder: string): void {
  writeFileSync(join(folder, `${MARK}${process.pid}`), '');
}

async function reach(to: NetConnectOpts): Promise<void> {
  const socket = connect(to);
  try {
    await once(socket, 'connect');
  } catch (error) {
    // Whoever may not is told so before (unix(7)); nobody listens for a container now.
    if (errorCode(error) !== 'ECONNREFUSED') throw error;
  } finally {
    socket.destroy();
  }
}

type Attempts = Readonly<Record<string, () => unknown>>;

function attempts(rundir: string, storage: string): Attempts {
  const parent = process.ppid;
  return {
    'read leases': () => read(join(storage, 'ipam')),
    'write leases': () => write(join(storage, 'ipam')),
    'read logs': () => read(join(storage, 'logs/current/pantavisor')),
    'write logs': () => write(join(storage, 'logs/current')),
    'read a revision': () => read(join(storage, 'trails/0/.pvr/json')),
    'read objects': () => read(join(storage, 'objects', anObject(storage))),
    'write a revision': () => write(join(storage, 'trails/0')),
    'write objects': () => write(join(storage, 'objects')),
    'write uploads': () => write(join(storage, 'objects/incoming')),
    'write what boots': () => write(join(storage, 'boot')),
    'write why it rebooted': () => write(join(storage, 'supervisor')),
    'read user-meta': () => read(join(storage, 'cache/usrmeta')),
    'write user-meta': () => write(join(storage, 'cache/usrmeta')),
    'write what containers see of it': () => write(join(rundir, 'meta', KNOWN_CONTAINER)),
    'write LXC configurations': () => write(join(rundir, 'lxc', KNOWN_CONTAINER)),
    'read files of containers': () => read(join(rundir, 'lxc', KNOWN_CONTAINER, 'rootfs/init')),
    'put a namespace’s file': () => write(join(rundir, 'netns')),
    'ask on the host’s socket': () => reach({ path: join(rundir, 'pv-ctrl') }),
    'ask as a container of role mgmt': () => reach({ path: join(rundir, 'ctl', KNOWN_CONTAINER, 'pv-ctrl') }),
    'connect to the network': () => reach(OUTSIDE),
    'read /etc/shadow': () => read('/etc/shadow'),
    'read /etc/passwd': () => read('/etc/passwd'),
    'start a program': () => execFileSync('true'),
    'enter a container’s network': () => execFileSync('nsenter', [`--net=${rundir}/netns/${KNOWN_CONTAINER}`, 'true']),
    'make a link': () => execFileSync('ip', ['link', 'add', `t${process.pid}`, 'type', 'bridge'], { stdio: 'ignore' }),
    'load native code': () => require('koffi'),
    'start a thread': () => new Worker('', { eval: true }).terminate(),
    'run a text as code': () => new Function('return 1')(),
    // Signal 0 is refused like any other, and does nothing (kill(2)).
    'end the supervisor': () => process.kill(parent, 0),
    'become root': () => process.setuid?.(0),
  };
}

/** That each is called is a mistake of the caller's parameters, which are looked at first. */
function refuseAll({ requests }: Contract): Handlers<Contract> {
  const refuse = (): never => {
    throw new Error('nonsense was taken for a request');
  };
  return Object.fromEntries(Object.keys(requests).map((name) => [name, refuse]));
}

const { service } = launch.parse(JSON.parse(process.env[LAUNCH_VARIABLE] ?? 'null'));
const own = SERVICE_CONTRACTS.find((contract) => contract.service === service);
if (own === undefined) throw new Error(`${service} has no contract`);

void runService(own, 'taken-over', ({ channel, launch: { rundir, storage, logPipes = [] } }) => {
  const outside = join(rundir, '..');
  // As log-svc: what the supervisor says of all this.
  const said = logPipes.find(({ source }) => source === 'supervisor');
  if (said !== undefined) new Socket({ fd: said.fd }).pipe(connect({ path: join(outside, SUPERVISOR_LOG_SOCKET) }));
  channel.serve(own, refuseAll(own));
  for (const contract of ALL_CONTRACTS.filter((each) => each !== own)) {
    for (const name of Object.keys(contract.events)) channel.publish<Contract, string>(contract, name, NONSENSE);
  }
  const tell = async (): Promise<void> => {
    const tried: Record<string, string> = {};
    for (const [what, act] of Object.entries(attempts(rundir, storage))) tried[what] = await outcomeOf(act);
    const requests = await askEverything(channel);
    connect({ path: join(outside, REPORT_SOCKET) }).end(JSON.stringify({ service, requests, tried }));
  };
  void tell();
  return undefined;
});
