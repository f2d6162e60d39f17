// The words of `pvcontrol --help`, from the table of commands, at most 80 columns wide.
import { formOf } from './command-line.ts';
import type { Command } from './context.ts';

const WIDTH = 80;
const HELP_COLUMN = 32;

const HEAD = `Usage: pvcontrol [-s PATH] [-f FILE] [-v] [--json | --table] COMMAND

Looks at and controls the containers of this device over its pv-ctrl socket.
`;

const TAIL = `Options
  -s PATH, --socket PATH        the socket; without it the first of
                                /run/pantavisor/pv/pv-ctrl, /pv/pv-ctrl,
                                /pantavisor/pv-ctrl
  --json                        the API's JSON instead of a table, which is
                                also what a pipe or a file gets
  --table                       a table also into a pipe or a file
  -f FILE, --output FILE        before COMMAND: what is printed goes there
  -f, --follow                  after logs: go on with what comes
  -m MSG, --message MSG         of steps install and put: the commit message
  -v, --verbose                 before COMMAND: tell each request and its
                                status on standard error
  -h, --help                    this text

Exit codes: 0 done, 75 busy or not answering now (try again), 48 disk full,
60 bad checksum, 70 state verification failed, 1 not understood or no socket,
255 anything else.
`;

/** Sections in the order in which the table names them first. */
export function usage(commands: readonly Command[]): string {
  const told = commands.filter(({ help }) => help !== '');
  const sections = [...new Set(told.map(({ section }) => section))];
  const parts = sections.map((section) => {
    const lines = told.filter((command) => command.section === section).map(commandLines);
    return `${section}\n${lines.join('')}`;
  });
  return [HEAD, ...parts, TAIL].join('\n');
}

function commandLines(command: Command): string {
  const form = `  ${formOf(command)}`;
  const [first = '', ...rest] = wrap(command.help, WIDTH - HELP_COLUMN);
  const indent = ' '.repeat(HELP_COLUMN);
  const head = form.length < HELP_COLUMN ? form.padEnd(HELP_COLUMN) + first : `${form}\n${indent}${first}`;
  return [head, ...rest.map((line) => indent + line)].map((line) => `${line}\n`).join('');
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
