// Where a hardware test runs: on this machine's sandbox, or on a board over ssh. One command at a time, to its end.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';

export interface Target {
  readonly name: string;
  /** Runs a command in a checkout of Berth. */
  run(command: readonly string[]): { readonly status: number | null; readonly output: string };
}

const RUN_TIMEOUT_MS = 600_000;

function runProgram(program: string, args: readonly string[]): ReturnType<Target['run']> {
  const options = { encoding: 'utf8', timeout: RUN_TIMEOUT_MS, cwd: join(import.meta.dirname, '..') } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  return { status, output: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}` };
}

const local: Target = {
  name: 'local',
  run: ([program = '', ...args]) => runProgram(program, args),
};

/** `host` as ssh takes it; `folder`: the checkout there. Each word is quoted for the shell that sshd starts. */
function overSsh(host: string, folder: string): Target {
  const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  return {
    name: `ssh ${host}`,
    run: (command) =>
      runProgram('ssh', ['-o', 'BatchMode=yes', '--', host, `cd ${quote(folder)} && ${command.map(quote).join(' ')}`]),
  };
}

/** BERTH_HW_SSH names a board; without it, the sandbox of this machine. */
export function chosenTarget(): Target {
  const { BERTH_HW_SSH: host, BERTH_HW_FOLDER: folder = 'berth' } = process.env;
  return host === undefined ? local : overSsh(host, folder);
}
