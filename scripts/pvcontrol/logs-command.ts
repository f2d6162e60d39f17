// `logs [NAME]`: the log files of a container, or Berth's own, where the device says that they are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import * as z from 'zod/mini';
import { type Arguments, type Command, type Context, complain, conclude } from './context.ts';
import { ask } from './control-socket.ts';
import { EXIT, type ExitCode, printable } from './failure.ts';
import { type LogFiles, logFilesInContainer, logFilesOf } from './log-files.ts';
import { reasonsOf } from './reasons.ts';

/** What every container has. */
const IN_CONTAINER = '/pantavisor/logs';
const SHOWN_LINES = '100';

const config = z.object({ 'log.dir': z.string() });

async function logs(context: Context, [name]: Arguments): Promise<ExitCode> {
  const found = existsSync(IN_CONTAINER) ? logFilesInContainer(IN_CONTAINER, name) : await onHost(context, name);
  if (typeof found === 'number') return found;
  if (found.kind === 'none') return complain([found.why, ...(await whyNothing(context, name))].join('\n  '));
  // It follows rotation, and prints whose line it is.
  const follow = context.follow ? ['-F'] : [];
  const tail = spawn('tail', ['-n', SHOWN_LINES, ...follow, '--', ...found.files], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(tail, 'exit');
  return code === 0 ? EXIT.ok : EXIT.other;
}

/** One that could not start has no log, and that is what the question was about. */
async function whyNothing({ socket }: Context, name: string | undefined): Promise<readonly string[]> {
  return name === undefined ? [] : (await reasonsOf(socket, name)).map(printable);
}

async function onHost(context: Context, name: string | undefined): Promise<LogFiles | ExitCode> {
  const answer = await ask(context.socket, 'GET', '/config');
  if (answer.status !== 200) return conclude(context, answer);
  const parsed = config.safeParse(JSON.parse(answer.body));
  return parsed.success
    ? logFilesOf(parsed.data['log.dir'], name)
    : complain('the device does not say where its logs are');
}

export const LOGS_COMMANDS: readonly Command[] = [
  {
    section: 'Containers',
    words: 'logs',
    args: [{ name: 'NAME', what: 'the NAME of a container', optional: true, completes: 'containers' }],
    help: "the end of its logs, without NAME of Berth's own; -f follows",
    perform: logs,
  },
];
