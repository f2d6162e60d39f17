// `watch`: the table of containers, drawn anew whenever something changes; into a pipe, the events as they come.
import { type IncomingMessage, request } from 'node:http';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { asTable, type Command, type Context, complain, conclude } from './context.ts';
import { ask, explain } from './control-socket.ts';
import { EXIT, type ExitCode, printable } from './failure.ts';
import { renderView } from './tables.ts';
import { terminalStyle } from './view-commands.ts';

/** Home, and clear to the end of the screen (ECMA-48, 8.3.21 and 8.3.39). */
const REDRAW = '\u001b[H\u001b[J';

/** What the list shows, or that something of it was missed. */
const CHANGE = /^event: (container|lost|revision)/;

function openEvents(socket: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ socketPath: socket, path: '/events', agent: false }, resolve)
      .on('error', (error) => reject(explain(socket, error)))
      .end();
  });
}

/** Whole lines, those together that came since the last ones were taken. Ends also where the connection breaks. */
async function* linesOf(events: Readable): AsyncIterable<readonly string[]> {
  let rest = '';
  try {
    for await (const piece of events.setEncoding('utf8')) {
      const lines = `${rest}${piece}`.split('\n');
      rest = lines.pop() ?? '';
      yield lines;
    }
  } catch {
    // Whoever reads is told that it is over, either way.
  }
}

/** Answers why there is nothing to draw. */
async function draw(context: Context): Promise<ExitCode | undefined> {
  const answer = await ask(context.socket, 'GET', '/containers');
  if (answer.status !== 200) return conclude(context, answer);
  const table = renderView('containers', answer.body, terminalStyle(), Date.now());
  process.stdout.write(`${REDRAW}${table ?? `${printable(answer.body)}\n`}`);
  return undefined;
}

/** Answers why it can show no more; undefined: the device has ended the stream. */
async function follow(events: Readable, context: Context): Promise<ExitCode | undefined> {
  const isDrawn = asTable(context);
  // The events come first and wait meanwhile, so that no change falls between the list and them.
  let failure = isDrawn ? await draw(context) : undefined;
  if (failure !== undefined) return failure;
  for await (const lines of linesOf(events)) {
    if (!isDrawn) {
      for (const line of lines) if (line.startsWith('data: ')) process.stdout.write(`${line.slice(6)}\n`);
      continue;
    }
    // Whatever they say, the list has it.
    if (lines.some((line) => CHANGE.test(line))) failure = await draw(context);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Ends with the server's stream, by Ctrl-C, or when nobody reads any more what it prints. */
async function watch(context: Context): Promise<ExitCode> {
  const events = await openEvents(context.socket);
  const unread = new Promise<ExitCode>((resolve) => process.stdout.once('error', () => resolve(EXIT.ok)));
  try {
    if (events.statusCode === 200) {
      const ended = await Promise.race([follow(events, context), unread]);
      return ended ?? complain('the device ended the stream of events');
    }
    return conclude(context, { status: events.statusCode ?? 0, body: await text(events).catch(() => '') });
  } finally {
    events.destroy();
  }
}

export const WATCH_COMMANDS: readonly Command[] = [
  { section: 'Containers', words: 'watch', args: [], help: 'the list of ls, live; Ctrl-C ends it', perform: watch },
];
