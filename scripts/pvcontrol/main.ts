#!/usr/bin/env node
// pvcontrol: the command line of the control API. Tables for people, the API's JSON for programs, exit codes for scripts.
import process from 'node:process';
import {
  type Command,
  type DriverCommand,
  type Format,
  type MetadataView,
  parseCommandLine,
  type View,
} from './command-line.ts';
import { type Answer, ask, findSocket, NoAnswer } from './control-socket.ts';
import { EXIT, type ExitCode, failureOf, printable } from './failure.ts';
import { USAGE } from './usage.ts';

const PATHS: Readonly<Record<View, string>> = {
  containers: '/containers',
  groups: '/groups',
  services: '/services',
  leases: '/ipam/leases',
  pools: '/ipam/pools',
  health: '/health',
  usrmeta: '/user-meta',
  devmeta: '/device-meta',
  drivers: '/drivers',
  config: '/config',
  conf: '/config2',
};

async function run(args: readonly string[]): Promise<ExitCode> {
  const parsed = parseCommandLine(args);
  if (!parsed.ok) return complain(`${parsed.message}\nSee pvcontrol --help.`);
  const { command, socket, format } = parsed.commandLine;
  if (command.kind === 'help') {
    process.stdout.write(USAGE);
    return EXIT.ok;
  }
  try {
    return await perform(command, findSocket(socket), format);
  } catch (error) {
    if (error instanceof NoAnswer) return complain(error.message);
    throw error;
  }
}

async function perform(command: Exclude<Command, { kind: 'help' }>, socket: string, format: Format): Promise<ExitCode> {
  switch (command.kind) {
    case 'show':
      return await show(command.view, await ask(socket, 'GET', PATHS[command.view]), format);
    case 'control':
      return await control(socket, command.action, command.name);
    case 'signal':
      return conclude(await ask(socket, 'POST', '/signal', { type: command.type, payload: '' }));
    case 'driver':
      return conclude(await ask(socket, 'PUT', driverPath(command)));
    case 'saveMetadata':
      return conclude(await ask(socket, 'PUT', keyPath(command), command.value));
    case 'deleteMetadata':
      return conclude(await ask(socket, 'DELETE', keyPath(command)));
  }
}

function driverPath({ action, name }: DriverCommand): string {
  return name === undefined ? `/drivers/${action}` : `/drivers/${encodeURIComponent(name)}/${action}`;
}

function keyPath({ of, key }: { readonly of: MetadataView; readonly key: string }): string {
  return `${PATHS[of]}/${encodeURIComponent(key)}`;
}

async function show(view: View, answer: Answer, format: Format): Promise<ExitCode> {
  // 503 of /health with its reasons is an answer, and no success.
  const degraded = view === 'health' && answer.status === 503 && answer.body.startsWith('{"status"');
  if (answer.status !== 200 && !degraded) return conclude(answer);
  const asTable = format === 'table' || (format === 'auto' && process.stdout.isTTY === true);
  process.stdout.write(asTable ? await table(view, answer.body) : `${answer.body}\n`);
  return degraded ? EXIT.busy : EXIT.ok;
}

async function table(view: View, body: string): Promise<string> {
  // Only a terminal pays for loading it.
  const { renderView } = await import('./tables.ts');
  const colour = process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb';
  const width = process.stdout.columns > 0 ? process.stdout.columns : 80;
  return renderView(view, body, { width, colour }, Date.now()) ?? `${printable(body)}\n`;
}

async function control(socket: string, action: string, name: string): Promise<ExitCode> {
  const answer = await ask(socket, 'PUT', `/containers/${encodeURIComponent(name)}`, { action });
  if (answer.status !== 404) return conclude(answer);
  return complain(`${failureOf(answer).text}: '${printable(name)}'. ${await whichExist(socket)}`);
}

async function whichExist(socket: string): Promise<string> {
  const { status, body } = await ask(socket, 'GET', '/containers');
  const rows: unknown = status === 200 ? JSON.parse(body) : [];
  const names = Array.isArray(rows) ? rows.map(nameOf).filter((name) => name !== undefined) : [];
  return names.length === 0 ? 'There are no containers.' : `There are: ${names.map(printable).join(', ')}.`;
}

function nameOf(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null || !('name' in row)) return undefined;
  return typeof row.name === 'string' ? row.name : undefined;
}

function conclude(answer: Answer): ExitCode {
  if (answer.status === 200) return EXIT.ok;
  const { text, exitCode } = failureOf(answer);
  return complain(text, exitCode);
}

function complain(message: string, exitCode: ExitCode = EXIT.other): ExitCode {
  process.stderr.write(`pvcontrol: ${message}\n`);
  return exitCode;
}

// A reader that has seen enough (head, grep -q) is no error.
process.stdout.on('error', () => undefined);
run(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.exitCode = complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  },
);
