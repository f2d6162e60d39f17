// berth as users run it, as a process; and source folders to run it on.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { bundled } from '../kit/bundled.ts';

const ROOT = join(import.meta.dirname, '../..');
export const EXAMPLE = join(ROOT, 'test/examples/01-basic');

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function berth(...args: string[]): Promise<Ran> {
  return berthWith({}, ...args);
}

type Environment = Readonly<Record<string, string>>;

const PROGRAM = [process.execPath, await bundled('scripts/berth/main.ts')];

export function berthWith(environment: Environment, ...args: string[]): Promise<Ran> {
  return collect(environment, [...PROGRAM, ...args]);
}

/** With `words` as bash reads them: redirections, and what comes behind a pipe. */
export function berthInShell(words: string): Promise<Ran> {
  return collect({}, ['bash', '-c', `"$0" "$1" ${words}`, ...PROGRAM]);
}

/** On a pseudo-terminal: stdout and stderr are one stream there. */
export function berthOnTerminal(environment: Environment, ...args: string[]): Promise<Ran> {
  // script(1) takes a shell's command; every word is the test's own.
  const command = [...PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
  return collect(environment, ['script', '-qefc', command, '/dev/null']);
}

async function collect(environment: Environment, [file = '', ...args]: readonly string[]): Promise<Ran> {
  const child = spawn(file, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { exitCode, stdout, stderr };
}

export interface Scratch {
  readonly folder: string;
  /** Writes files (path → text, or a value as JSON) below `folder/name`, an init as a program; answers that folder. */
  write(name: string, files: Readonly<Record<string, unknown>>): string;
  /** Temporary folders of packing that are left; the processes of `berthWith(scratch.environment, …)` make theirs here. */
  temporaries(): readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  remove(): void;
}

export function createScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'berth-test-'));
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  return {
    folder,
    write(name, files) {
      for (const [path, content] of Object.entries(files)) {
        const file = join(folder, name, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
        chmodSync(file, path.endsWith('/rootfs/init') ? 0o755 : 0o644);
      }
      return join(folder, name);
    },
    temporaries: () => readdirSync(temporary).filter((name) => name.startsWith('berth-pack-')),
    environment: { TMPDIR: temporary },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

export const POOL = { type: 'bridge', bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true };

/** A sound source folder: a pool, a container in it. `over` replaces or adds files. */
export function soundSource(over: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    'device.json': { network: { pools: { internal: POOL } } },
    'containers/one/args.json': { PV_GROUP: 'app', PV_NETWORK_POOL: 'internal' },
    'containers/one/rootfs.list':
      'file /init init 0755\ndir /tmp 1777\nfile /bin/busybox busybox 0755\nlink /bin/sh busybox\n',
    'containers/one/busybox': 'a program\n',
    'containers/one/init': '#!/bin/sh\n',
    ...over,
  };
}
