// `watch`: the table of containers, drawn anew whenever something changes; into a pipe, the events as they come.
import { request } from 'node:http';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { asTable, type Command, type Context, complain } from './context.ts';
import { ask, explain } from './control-socket.ts';
import type { ExitCode } from './failure.ts';
import { renderView } from './tables.ts';
import { terminalStyle } from './view-commands.ts';

/** Home, and clear to the end of the screen (ECMA-48, 8.3.21 and 8.3.39). */
const REDRAW = '\u001b[H\u001b[J';

function openEvents(socket: string): Promise<Readable> {
  return new Promise((resolve, reject) => {
    request({ socketPath: socket, path: '/events', agent: false }, resolve)
      .on('error', (error) => reject(explain(socket, error)))
      .end();
  });
}

/** Ends with the server's stream, or by Ctrl-C. */
async function watch(context: Context): Promise<ExitCode> {
  const { socket } = context;
  const draw = async (): Promise<void> => {
    const { body } = await ask(socket, 'GET', '/containers');
    process.stdout.write(`${REDRAW}${renderView('containers', body, terminalStyle(), Date.now()) ?? body}`);
  };
  const events = await openEvents(socket);
  const lines = createInterface({ input: events });
  if (!asTable(context)) {
    for await (const line of lines) if (line.startsWith('data: ')) process.stdout.write(`${line.slice(6)}\n`);
    return complain('the device ended the stream of events');
  }
  await draw();
  for await (const line of lines) {
    // Whatever it says, the list has it; and of many at once the last one counts.
    if (line.startsWith('event: container') || line.startsWith('event: lost') || line.startsWith('event: revision')) {
      await draw();
    }
  }
  return complain('the device ended the stream of events');
}

export const WATCH_COMMANDS: readonly Command[] = [
  { section: 'Containers', words: 'watch', args: [], help: 'the list of ls, live; Ctrl-C ends it', perform: watch },
];
