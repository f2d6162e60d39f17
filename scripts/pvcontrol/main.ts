#!/usr/bin/env node
// pvcontrol: the command line of the control API. Tables for people, the API's JSON for programs, exit codes for scripts.
import process from 'node:process';
import { type CommandLine, parseCommandLine } from './command-line.ts';
import { COMMANDS } from './commands.ts';
import { type Command, complain } from './context.ts';
import { findSocket, NoAnswer, NoSocket } from './control-socket.ts';
import { EXIT } from './failure.ts';
import { CannotPrint, printInto } from './output-file.ts';
import { usage } from './usage.ts';
import { tellRequests } from './verbose.ts';

async function run(argv: readonly string[]): Promise<number> {
  const parsed = parseCommandLine(argv, COMMANDS);
  switch (parsed.kind) {
    case 'wrong':
      return complain(`${parsed.message}\nSee pvcontrol --help.`, EXIT.usage);
    case 'help':
      guardOutput();
      process.stdout.write(usage(COMMANDS));
      return EXIT.ok;
    case 'command':
      return await perform(parsed.line);
  }
}

async function perform({ command, args, output, verbose, ...line }: CommandLine<Command>): Promise<number> {
  try {
    const socket = command.needsSocket === false ? '' : findSocket(line.socket);
    if (output !== undefined) printInto(output);
    if (verbose) tellRequests();
    guardOutput();
    return await command.perform({ ...line, socket }, args);
  } catch (error) {
    if (error instanceof NoAnswer) return complain(error.message, error instanceof NoSocket ? EXIT.usage : EXIT.other);
    if (error instanceof CannotPrint) return complain(error.message, EXIT.usage);
    throw error;
  }
}

/** A reader that has seen enough (head, grep -q) is no error; that what was asked for could not be written is one, and nothing is left to do. */
function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(complain(`the answer cannot be written: ${error.message}`));
  });
}

process.stderr.on('error', () => undefined);
run(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.exitCode = complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  },
);
