// The other end of the broker's comparison: the same round trips through dbus-daemon, between two peers in C.
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

/** `folder`: for its program, socket and configuration. Answers what is missing where it cannot be had. */
export async function openDbus(folder: string): Promise<Dbus | { readonly missing: string }> {
  const peer = join(folder, 'dbus-peer');
  try {
    const source = join(import.meta.dirname, 'dbus-peer.c');
    execFileSync('gcc', ['-O2', '-o', peer, source, '-l:libdbus-1.so.3'], { stdio: 'pipe' });
  } catch {
    return { missing: 'needs gcc and libdbus-1 (apt-get install gcc libdbus-1-3)' };
  }
  const socket = join(folder, 'bus');
  const configuration = join(folder, 'bus.conf');
  writeFileSync(configuration, configurationFor(socket));
  const bus = spawn('dbus-daemon', ['--nofork', `--config-file=${configuration}`], { stdio: 'ignore' });
  const started = await isThere(bus, socket);
  if (!started) {
    bus.kill();
    return { missing: 'needs dbus-daemon (apt-get install dbus)' };
  }
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
