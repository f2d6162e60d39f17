// pvcontrol as users run it: bundled, as a process, to a pipe or on a terminal.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { after, before } from 'node:test';
import { build } from 'esbuild';
import { type Rig, startRig } from '../ctl-svc/rig.ts';

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly folder: string;
  readonly run: (...args: string[]) => Promise<Ran>;
  /** With that on its standard input. */
  readonly runWith: (input: string, ...args: string[]) => Promise<Ran>;
  /** With only the first line of what it prints read; the code of both. */
  readonly runToHead: (...args: string[]) => Promise<Ran>;
  /** A script for bash(1), to which it is the command `pvcontrol`. */
  readonly runShell: (script: string) => Promise<Ran>;
  /** On a pseudo-terminal of that many columns; stdout and stderr are one stream there. */
  readonly onTerminal: (columns: number, environment: Record<string, string>, ...args: string[]) => Promise<Ran>;
  readonly remove: () => void;
}

export async function bundleProgram(): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), 'pvcontrol-'));
  const program = join(folder, 'pvcontrol.cjs');
  await build({
    entryPoints: ['scripts/pvcontrol/main.ts'],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
  });
  return {
    folder,
    run: (...args) => collect(process.execPath, [program, ...args], {}),
    runWith: (input, ...args) => collect(process.execPath, [program, ...args], {}, input),
    runToHead: (...args) =>
      collect('bash', ['-c', 'set -o pipefail; "$@" | head -n 1', 'bash', process.execPath, program, ...args], {}),
    runShell: (script) =>
      collect('bash', ['-c', `pvcontrol() { '${process.execPath}' '${program}' "$@"; }; ${script}`], {}),
    onTerminal(columns, environment, ...args) {
      const words = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ');
      // script(1) takes a shell's command; every word above is the test's own.
      return collect('script', ['-qefc', `stty cols ${columns}; exec ${words}`, '/dev/null'], environment);
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** For the tests of a file or a suite: the program, and a ctl-svc for it to talk to. */
export function usePvcontrol() {
  let program: Program;
  let rig: Rig;
  before(async () => {
    program = await bundleProgram();
    rig = await startRig();
  });
  after(() => {
    rig.stop();
    program.remove();
  });
  return {
    get program() {
      return program;
    },
    get rig() {
      return rig;
    },
    run: (...args: string[]) => program.run('-s', rig.host, ...args),
  };
}

async function collect(
  file: string,
  args: readonly string[],
  environment: Record<string, string>,
  input?: string,
): Promise<Ran> {
  const env = { PATH: process.env.PATH ?? '', TERM: 'xterm', ...environment };
  const child = spawn(file, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], env });
  // It need not read all of it.
  child.stdin?.on('error', () => undefined).end(input);
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (child.stdout === null || child.stderr === null) throw new Error(`${file} has no pipes`);
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { exitCode, stdout, stderr };
}
