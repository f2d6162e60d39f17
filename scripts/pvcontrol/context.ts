// What every command is given: the socket, how to print, how to end.
import process from 'node:process';
import type { CommandWords, Format } from './command-line.ts';
import { type Answer, ask, type Patience } from './control-socket.ts';
import { EXIT, type ExitCode, failureOf, printable } from './failure.ts';

export interface Context {
  readonly socket: string;
  readonly format: Format;
  readonly follow: boolean;
  readonly message: string | undefined;
}

export type Arguments = readonly (string | undefined)[];

export interface Command extends CommandWords {
  /** The heading of the help that it stands under. */
  readonly section: string;
  /** Empty: it works, and is not worth a line. */
  readonly help: string;
  /** False: it asks nobody. */
  readonly needsSocket?: false;
  /** Answers what the program ends with. */
  readonly perform: (context: Context, args: Arguments) => Promise<number>;
}

export function asTable({ format }: Pick<Context, 'format'>): boolean {
  return format === 'table' || (format === 'auto' && process.stdout.isTTY === true);
}

/** Sends a request whose success says nothing. */
export async function tell(
  context: Context,
  method: string,
  path: string,
  body?: string | object,
  patience?: Patience,
): Promise<ExitCode> {
  return conclude(context, await ask(context.socket, method, path, body, patience));
}

/** `hint`: what more people should know of a failure. Programs get what the API says, as from Pantavisor's client. */
export function conclude({ format }: Pick<Context, 'format'>, answer: Answer, hint = ''): ExitCode {
  if (answer.status === 200) return EXIT.ok;
  const { text, isTold, exitCode } = failureOf(answer);
  const problems = (answer.problems ?? []).map((problem) => `\n  ${printable(problem)}`).join('');
  const forPeople = format === 'table' || (format === 'auto' && process.stderr.isTTY === true);
  if (forPeople || !isTold) return complain(`${text}${hint}${problems}`, exitCode);
  process.stderr.write(`${answer.body}${problems}\n`);
  return exitCode;
}

export function complain(message: string, exitCode: ExitCode = EXIT.other): ExitCode {
  process.stderr.write(`pvcontrol: ${message}\n`);
  return exitCode;
}

/** Names of the rows of a list, for messages and completion; none when it cannot be had. */
export async function namesOf(socket: string, path: string): Promise<readonly string[]> {
  const { status, body } = await ask(socket, 'GET', path);
  const rows: unknown = status === 200 ? JSON.parse(body) : [];
  return Array.isArray(rows) ? rows.map(nameOf).filter((name) => name !== undefined) : [];
}

function nameOf(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null || !('name' in row)) return undefined;
  return typeof row.name === 'string' ? row.name : undefined;
}

/** For a 404: the name that nothing has, and those that there are. */
export async function hintAt(socket: string, list: string, name: string): Promise<string> {
  return `: '${printable(name)}'. ${thereAre(await namesOf(socket, list))}`;
}

export function thereAre(names: readonly string[]): string {
  return names.length === 0 ? 'There are none.' : `There are: ${names.map(printable).join(', ')}.`;
}
