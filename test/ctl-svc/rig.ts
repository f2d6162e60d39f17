// A ctl-svc over real UNIX sockets, with the real broker in memory and fake services behind it.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ctlContract } from '../../services/ctl-svc/contract.ts';
import { serveControl } from '../../services/ctl-svc/serve.ts';
import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { logContract } from '../../services/log-svc/contract.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { netContract } from '../../services/net-svc/contract.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import type { Written } from '../../shared/config/settings.ts';
import { runCommand } from '../../shared/exec/run-command.ts';
import type { Channel, ServiceName } from '../../shared/ipc/contract.ts';
import { createMemoryBus, type MemoryBus } from '../../shared/ipc/memory-bus.ts';
import { listenUnix } from '../../shared/kernel/unix-sockets.ts';
import { type Logger, silentLogger } from '../../shared/log/logger.ts';
import { holdAgainstDocument } from '../kit/declared.ts';
import { PATIENCE_MS } from '../kit/eventually.ts';
import { newWorld, startPeers, startState, type World } from './fake-peers.ts';

export const ALL_CONTRACTS = [
  supervisorContract,
  logContract,
  ipamContract,
  netContract,
  lxcContract,
  stateContract,
  ctlContract,
];

export interface Rig {
  /** What ctl-svc has warned of. */
  readonly warnings: string[];
  readonly world: World;
  readonly bus: MemoryBus;
  readonly folder: string;
  /** Path of the host's socket, and of a container's. */
  readonly host: string;
  readonly socketOf: (container: string) => string;
  /** Makes the listening socket of a container and tells ctl-svc; `announce: false` leaves the telling to the test. */
  readonly openSocket: (container: string, announce?: boolean) => { container: string; fd: number };
  readonly supervisor: Channel;
  state: Channel;
  /** A new state-svc with the present world, after a death. */
  readonly restartState: () => void;
  readonly stop: () => void;
}

/** What Berth was started with. */
const SETTINGS: readonly Written[] = [
  { key: 'PV_LOG_LEVEL', value: 'warn', origin: 'pv conf file' },
  { key: 'PV_LXC_LOG_LEVEL', value: '4', origin: 'env' },
];

const LISTEN = { mode: 0o600, backlog: 128 };

/** `containers` have their sockets when ctl-svc starts. */
export async function startRig(containers: readonly string[] = [], world: World = newWorld()): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'ctl-svc-'));
  const bus = createMemoryBus(ALL_CONTRACTS);
  const channels = new Map<ServiceName, Channel>();
  const connect = (service: ServiceName): Channel => {
    const channel = bus.connect(service);
    channels.set(service, channel);
    return channel;
  };
  const socketOf = (container: string): string => join(folder, container);
  const listenFor = (container: string) => ({ container, fd: listenUnix(socketOf(container), LISTEN) });
  world.sockets.push(...containers.map(listenFor));
  startPeers(world, connect);
  const host = join(folder, 'pv-ctrl');
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
  const ctl = connect('ctl-svc');
  const stopControl = await serveControl(
    ctl,
    { hostFd: listenUnix(host, LISTEN), storage: folder, settings: SETTINGS },
    log,
  );
  ctl.ready();
  const supervisor = channelOf(channels, 'supervisor');
  const rig: Rig = {
    warnings,
    world,
    bus,
    folder,
    host,
    socketOf,
    supervisor,
    state: channelOf(channels, 'state-svc'),
    openSocket(container, announce = true) {
      const socket = listenFor(container);
      world.sockets.push(socket);
      if (announce) supervisor.publish(supervisorContract, 'controlSocketOpened', socket);
      return socket;
    },
    restartState() {
      rig.state = connect('state-svc');
      startState(world, rig.state);
    },
    stop() {
      stopControl();
      bus.close();
      rmSync(folder, { recursive: true });
      world.store.remove();
    },
  };
  return rig;
}

function channelOf(channels: ReadonlyMap<ServiceName, Channel>, service: ServiceName): Channel {
  const channel = channels.get(service);
  if (channel === undefined) throw new Error(`${service} is not connected`);
  return channel;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: string;
}

/** Real curl. `args` go before the URL. */
export async function curl(
  socket: string,
  path: string,
  args: readonly string[] = [],
  input = '',
): Promise<HttpAnswer> {
  const all = ['-s', '-i', '--path-as-is', '--max-time', '40', '--unix-socket', socket, ...args];
  const { stdout, stderr, exitCode } = await runCommand('curl', [...all, `http://localhost${path}`], {
    timeoutMs: 60_000,
    input,
  });
  if (exitCode !== 0) throw new Error(`curl ended with ${exitCode}: ${stderr}`);
  const answer = parseAnswer(stdout);
  const contentType = /^content-type: (.*)$/im.exec(answer.headers)?.[1]?.trim();
  holdAgainstDocument({ ...answer, method: methodOf(args), target: targetOf(args) ?? path, contentType });
  return answer;
}

const optionOf = (args: readonly string[], option: string): string | undefined =>
  args.includes(option) ? args[args.indexOf(option) + 1] : undefined;

/** As curl derives it. */
function methodOf(args: readonly string[]): string {
  if (args.includes('-I')) return 'HEAD';
  const posts = ['-d', '--data', '--data-binary'].some((option) => args.includes(option));
  return optionOf(args, '-X') ?? (args.includes('-T') ? 'PUT' : posts ? 'POST' : 'GET');
}

const targetOf = (args: readonly string[]): string | undefined => optionOf(args, '--request-target');

export function parseAnswer(text: string): HttpAnswer {
  const final = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  const end = final.indexOf('\r\n\r\n');
  return { status: Number(final.slice(9, 12)), headers: final.slice(0, end), body: final.slice(end + 4) };
}

/** Sends bytes as they are and collects everything until the server ends the connection. */
export function sendRaw(socket: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: string[] = [];
    const client = connectSocket(socket, () => client.write(bytes, 'latin1'));
    client.setEncoding('latin1');
    client.on('data', (chunk: string) => chunks.push(chunk));
    client.on('error', reject);
    client.on('close', () => resolve(chunks.join('')));
  });
}

/** Until `condition` holds; looks again whenever the event loop comes round. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = PATIENCE_MS): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it never became true');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
