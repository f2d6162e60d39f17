// `steps show-progress REV`: how far a revision is, and the log lines that say why it failed.
import process from 'node:process';
import * as z from 'zod/mini';
import { type Arguments, asTable, type Command, type Context, conclude, hintAt } from './context.ts';
import { ask } from './control-socket.ts';
import { REVISION, stepPath } from './device-commands.ts';
import { EXIT, type ExitCode, printable } from './failure.ts';

const progress = z.object({
  status: z.string(),
  'status-msg': z.string(),
  progress: z.number(),
  retries: z.number(),
  logs: z.optional(z.string()),
});
type Progress = z.output<typeof progress>;
const logLine = z.object({ lvl: z.string(), src: z.string(), msg: z.string() });

async function showProgress(context: Context, [revision = '']: Arguments): Promise<ExitCode> {
  const answer = await ask(context.socket, 'GET', `/steps/${stepPath(revision)}/progress`);
  if (answer.status !== 200) {
    const hint = answer.status === 404 ? await hintAt(context.socket, '/steps', revision) : '';
    return conclude(context, answer, hint);
  }
  const parsed = progress.safeParse(JSON.parse(answer.body));
  process.stdout.write(asTable(context) && parsed.success ? page(parsed.data) : `${answer.body}\n`);
  return EXIT.ok;
}

function page({ status, 'status-msg': message, progress: percent, retries, logs = '' }: Progress): string {
  const lines = logs.split('\n').filter((line) => line !== '');
  const pairs = [
    ['status', `${status}: ${message}`],
    ['progress', `${percent} %${retries === 0 ? '' : `, ${retries} retries`}`],
    ...lines.map((line, index) => [index === 0 ? 'log' : '', logText(line)] as const),
  ] as const;
  return pairs.map(([word, text]) => `${word.padEnd(9)} ${printable(text)}\n`).join('');
}

/** As it is where it is none of Berth's. */
function logText(line: string): string {
  try {
    const read = logLine.safeParse(JSON.parse(line));
    return read.success ? `${read.data.lvl} ${read.data.src}: ${read.data.msg}` : line;
  } catch {
    return line;
  }
}

export const PROGRESS_COMMANDS: readonly Command[] = [
  {
    section: 'Revisions',
    words: 'steps show-progress',
    args: [REVISION],
    help: 'how far it is, and why it failed',
    perform: showProgress,
  },
];
