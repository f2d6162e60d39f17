// The other end of the broker's comparison: the same round trips through dbus-daemon and through dbus-broker, between two peers in C.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type BenchResult, benchResult } from './broker-contract.ts';
import { firstOutput } from './first-output.ts';

const START_MS = 5_000;
const LOOK_MS = 20;
const ASK_MS = 60_000;

export interface Dbus {
  measure(): Promise<BenchResult>;
  close(): void;
}

export interface Missing {
  readonly missing: string;
}

/** Both answer what is missing where they cannot be had. `folder`: for programs, socket and configuration. */
export async function openDbusDaemon(folder: string): Promise<Dbus | Missing> {
  const peer = compiled(folder, 'dbus-peer');
  if (peer === undefined) return NO_COMPILER;
  const socket = join(folder, 'dbus-daemon');
  const configuration = join(folder, 'bus.conf');
  writeFileSync(configuration, configurationFor(socket));
  const bus = spawn('dbus-daemon', ['--nofork', `--config-file=${configuration}`], { stdio: 'ignore' });
  if (await isThere(bus, socket)) return through(bus, peer, socket);
  bus.kill();
  return { missing: 'needs dbus-daemon (apt-get install dbus)' };
}

export async function openDbusBroker(folder: string): Promise<Dbus | Missing> {
  const [peer, starter] = [compiled(folder, 'dbus-peer'), compiled(folder, 'dbus-broker-bus')];
  if (peer === undefined || starter === undefined) return NO_COMPILER;
  const socket = join(folder, 'dbus-broker');
  const bus = spawn(starter, [socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  // It says so once dbus-broker has taken the socket.
  const started = await firstOutput(bus).then(
    () => true,
    () => false,
  );
  return started
    ? through(bus, peer, socket)
    : { missing: 'needs dbus-broker 33 or later (apt-get install dbus-broker)' };
}

const NO_COMPILER: Missing = { missing: 'needs gcc and libdbus-1 (apt-get install gcc libdbus-1-3)' };

function compiled(folder: string, name: string): string | undefined {
  const program = join(folder, name);
  if (existsSync(program)) return program;
  try {
    const source = join(import.meta.dirname, `${name}.c`);
    execFileSync('gcc', ['-O2', '-o', program, source, '-l:libdbus-1.so.3'], { stdio: 'pipe' });
    return program;
  } catch {
    return undefined;
  }
}

function through(bus: ChildProcess, peer: string, socket: string): Dbus {
  const address = `unix:path=${socket}`;
  return {
    async measure() {
      const answering = spawn(peer, ['answer', address], { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        // It says so once it has its name.
        await firstOutput(answering);
        const options = { encoding: 'utf8', timeout: ASK_MS } as const;
        return benchResult.parse(JSON.parse(execFileSync(peer, ['ask', address], options)));
      } finally {
        answering.kill();
      }
    },
    close: () => bus.kill(),
  };
}

/** The least there can be: everybody of this user may own and send everything. */
function configurationFor(socket: string): string {
  return `<busconfig>
  <type>session</type>
  <listen>unix:path=${socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
`;
}

async function isThere(bus: ChildProcess, socket: string): Promise<boolean> {
  let failed = false;
  bus.on('error', () => {
    failed = true;
  });
  const end = performance.now() + START_MS;
  while (!failed && bus.exitCode === null && performance.now() < end) {
    if (existsSync(socket)) return true;
    await delay(LOOK_MS);
  }
  return false;
}
