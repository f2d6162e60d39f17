// `shell NAME [COMMAND…]`: a shell, or another program, in a container, as its root and with its capabilities. On the host only.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { realpathSync, statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import * as z from 'zod/mini';
import { type Arguments, type Command, type Context, complain, conclude, hintAt } from './context.ts';
import { ask } from './control-socket.ts';
import { printable } from './failure.ts';

/** NSFS_MAGIC of linux/magic.h. */
const NAMESPACE_FS = 0x6e736673;

const container = z.object({ status: z.string(), pid: z.nullable(z.number()) });

/** Where LXC keeps the containers of the tree whose socket that is. */
function lxcPathOf(socket: string): string {
  return join(dirname(realpathSync(socket)), 'lxc');
}

/** A mounted namespace; elsewhere the same path is no file, or an empty one. */
function isNamespace(path: string): boolean {
  try {
    return statfsSync(path).type === NAMESPACE_FS;
  } catch {
    return false;
  }
}

async function shell(context: Context, [name = '', ...command]: Arguments): Promise<number> {
  const answer = await ask(context.socket, 'GET', `/containers/${encodeURIComponent(name)}`);
  if (answer.status !== 200) {
    const hint = answer.status === 404 ? await hintAt(context.socket, '/containers', name) : '';
    return conclude(context, answer, hint);
  }
  const { status, pid } = container.parse(JSON.parse(answer.body));
  if (pid === null) return complain(`'${printable(name)}' is ${status}: pvcontrol containers start ${printable(name)}`);
  const lxc = lxcPathOf(context.socket);
  const monitors = join(lxc, '.networks/monitors');
  if (!isNamespace(monitors)) {
    return complain(`${monitors}: not here; containers are entered on the host that runs them, outside of any sandbox`);
  }
  return await run('nsenter', [`--net=${monitors}`, 'lxc-attach', ...attachArguments(lxc, name, command)]);
}

/** Nothing of the host's environment but what the terminal is: its paths are not the container's. */
function attachArguments(lxc: string, name: string, command: Arguments): readonly string[] {
  const within = command.length === 0 ? [] : ['--', ...command.filter((word) => word !== undefined)];
  return ['-P', lxc, '-n', name, '--clear-env', '--keep-var', 'TERM', ...within];
}

/** As if it were this program: it has the terminal, gets the signals, and its end is ours. */
async function run(file: string, args: readonly string[]): Promise<number> {
  const child = spawn(file, args, { stdio: 'inherit' });
  // Those of the terminal reach it by themselves.
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  try {
    const [code, signal] = await once(child, 'exit');
    return code ?? 128 + constants.signals[signal as NodeJS.Signals];
  } catch (error) {
    return complain(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export const SHELL_COMMANDS: readonly Command[] = [
  {
    section: 'Containers',
    words: 'shell',
    args: [
      { name: 'NAME', what: 'the NAME of a container', completes: 'containers' },
      { name: 'COMMAND', what: 'the COMMAND', optional: true, mayBeEmpty: true, repeats: true },
    ],
    isVerbatim: true,
    help: 'a shell in it, or COMMAND; on the host only',
    perform: shell,
  },
];
