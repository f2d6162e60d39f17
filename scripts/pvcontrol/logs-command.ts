// `logs [NAME]`: the log files of a container, or Berth's own, where the device says that they are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as z from 'zod/mini';
import { type Arguments, type Command, type Context, complain, conclude } from './context.ts';
import { ask } from './control-socket.ts';
import { EXIT, type ExitCode, printable } from './failure.ts';

/** What a container of role mgmt has, and one of none. */
const IN_CONTAINER = '/pantavisor/logs';
const OWN = 'pantavisor';
const SHOWN_LINES = '100';

const config = z.object({ 'log.dir': z.string() });

async function logs(context: Context, [name = OWN]: Arguments): Promise<ExitCode> {
  const folder = existsSync(IN_CONTAINER) ? IN_CONTAINER : await folderOf(context);
  if (typeof folder !== 'string') return folder.exitCode;
  const current = join(folder, 'current');
  if (!existsSync(current)) return complain(`${current}: not here; is the device another one, or a sandbox?`);
  const own = join(current, name);
  if (basename(name) !== name || !existsSync(own)) {
    const names = readdirSync(current).filter((each) => statSync(join(current, each)).isDirectory());
    return complain(`no log of '${printable(name)}'. There are: ${names.sort().join(', ')}.`);
  }
  const files = readdirSync(own, { recursive: true, encoding: 'utf8' })
    .map((file) => join(own, file))
    .filter((file) => file.endsWith('.log') && statSync(file).isFile());
  if (files.length === 0) return complain(`'${printable(name)}' has logged nothing yet`);
  // It follows rotation, and prints whose line it is.
  const follow = context.follow ? ['-F'] : [];
  const tail = spawn('tail', ['-n', SHOWN_LINES, ...follow, '--', ...files.sort()], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(tail, 'exit');
  return code === 0 ? EXIT.ok : EXIT.other;
}

async function folderOf({ socket }: Context): Promise<string | { readonly exitCode: ExitCode }> {
  const answer = await ask(socket, 'GET', '/config');
  if (answer.status !== 200) return { exitCode: conclude(answer) };
  const parsed = config.safeParse(JSON.parse(answer.body));
  return parsed.success ? parsed.data['log.dir'] : { exitCode: complain('the device does not say where its logs are') };
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
