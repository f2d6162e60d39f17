#!/usr/bin/env node
// pvcontrol: the command line of the control API. Tables for people, the API's JSON for programs, exit codes for scripts.
import process from 'node:process';
import { parseCommandLine } from './command-line.ts';
import { COMMANDS } from './commands.ts';
import { complain } from './context.ts';
import { findSocket, NoAnswer } from './control-socket.ts';
import { EXIT, type ExitCode } from './failure.ts';
import { usage } from './usage.ts';

async function run(argv: readonly string[]): Promise<ExitCode> {
  const parsed = parseCommandLine(argv, COMMANDS);
  switch (parsed.kind) {
    case 'wrong':
      return complain(`${parsed.message}\nSee pvcontrol --help.`);
    case 'help':
      process.stdout.write(usage(COMMANDS));
      return EXIT.ok;
    case 'command': {
      const { command, args, socket, format, follow } = parsed.line;
      try {
        const found = command.needsSocket === false ? '' : findSocket(socket);
        return await command.perform({ socket: found, format, follow }, args);
      } catch (error) {
        if (error instanceof NoAnswer) return complain(error.message);
        throw error;
      }
    }
  }
}

// A reader that has seen enough (head, grep -q) is no error; that what was asked for could not be written is one, and nothing is left to do.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.exit(complain(`the answer cannot be written: ${error.message}`));
});
process.stderr.on('error', () => undefined);
run(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.exitCode = complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  },
);
