// `shell NAME [COMMAND…]`: a shell, or another program, in a container, as its root and with its capabilities. On the host only.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import * as z from 'zod/mini';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { type Arguments, type Command, type Context, complain, conclude, hintAt } from './context.ts';
import { ask } from './control-socket.ts';
import { printable } from './failure.ts';

const container = z.object({ status: z.string(), pid: z.nullable(z.number()) });

/** Where LXC keeps the containers of the tree whose socket that is. */
function lxcPathOf(socket: string): string {
  return join(dirname(realpathSync(socket)), 'lxc');
}

/** The pid of LXC's monitor of the container: lxc-attach finds that where it is on the network. Undefined: the pid is of another machine's, or sandbox's. */
function monitorOf(lxc: string, name: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(lxc, name, 'monitor.pid'), 'utf8'));
    // `lxc-start -n NAME -P PATH`, or `[lxc monitor] PATH NAME`, which the kernel lets it say or not.
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]/);
    return words.includes(lxc) && words.includes(name) ? pid : undefined;
  } catch {
    return undefined;
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
  const monitor = monitorOf(lxc, name);
  if (monitor === undefined) {
    const where = 'containers are entered on the host that runs them, outside of any sandbox';
    return complain(`'${printable(name)}' has no monitor here, by ${lxc}; ${where}`);
  }
  return await run('nsenter', [`--net=/proc/${monitor}/ns/net`, 'lxc-attach', ...attachArguments(lxc, name, command)]);
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
    return complain(`${file}: ${reasonOf(error)}`);
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
