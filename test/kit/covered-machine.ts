// The machine as a whole, in a sandbox, with its folders covered: what is installed there is gone with it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { openSandbox } from '../../scripts/sandbox/sandbox.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a user's shell has; nothing of the tests' own. */
export function cleanEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { DESTDIR: _, NODE_V8_COVERAGE: __, NODE_TEST_CONTEXT: ___, ...rest } = process.env;
  return { ...rest, ...more };
}

export interface CoveredMachine {
  /** Runs a shell's command to its end, in the folder of the project. */
  run(command: string): Ran;
  /** Starts one. */
  start(command: string): ChildProcess;
  signal(child: ChildProcess, signal: NodeJS.Signals): void;
  close(): Promise<void>;
}

const COVER = `
set -e
mkdir /run/cover
mount -t tmpfs -o mode=755 berth-cover /run/cover
for name in etc usr var; do
  mkdir -p /run/cover/$name/upper /run/cover/$name/work
  mount -t overlay berth-cover -o "lowerdir=/$name,upperdir=/run/cover/$name/upper,workdir=/run/cover/$name/work" "/$name"
done
`;

const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;

/** /etc, /usr, /var and /run can be written to without effect on the machine. No init runs in it. */
export async function coverMachine(): Promise<CoveredMachine> {
  const nothing = mkdtempSync(join(tmpdir(), 'berth-cover-'));
  chmodSync(nothing, 0o755);
  const sandbox = await openSandbox({ program: join(ROOT, 'dist'), storage: nothing });
  const enter = (command: string) => sandbox.enter(['sh', '-c', `cd ${ROOT} && ${command}`]);
  const run = (command: string): Ran => {
    const [file, args] = enter(command);
    const options = { encoding: 'utf8', env: cleanEnvironment(), maxBuffer: MAX_OUTPUT_BYTES } as const;
    const { status, stdout, stderr } = spawnSync(file, args, options);
    return { status, stdout, stderr };
  };
  const close = async (): Promise<void> => {
    await sandbox.close();
    rmSync(nothing, { recursive: true });
  };
  const { status, stderr } = run(COVER);
  if (status !== 0) {
    await close();
    throw new Error(`the machine could not be covered: ${stderr}`);
  }
  return {
    run,
    start(command) {
      const [file, args] = enter(`exec ${command}`);
      return spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnvironment() });
    },
    signal: (child, signal) => sandbox.signal(child, signal),
    close,
  };
}
