// Commands that bring objects and revisions onto the device.
import { createReadStream, statSync } from 'node:fs';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { createProgressBar } from '../berth/progress-bar.ts';
import { type OnProgress, sendObjects, sendState } from './archive.ts';
import { stdinBytes } from './command-line.ts';
import { type Arguments, asTable, type Command, type Context, complain, conclude, tell } from './context.ts';
import type { Answer } from './control-socket.ts';
import { stepPath } from './device-commands.ts';
import type { ExitCode } from './failure.ts';
import { localNameOf, nameRefusal } from './local-name.ts';
import { BadArchive } from './tar-entries.ts';
import { EndedEarly, receive, send } from './transfer.ts';

const SHA = { name: 'SHA', what: 'the SHA, the sha256 of the object,' } as const;
const PATH = { name: 'PATH', what: 'the PATH of a file', completes: 'files' } as const;
const LOCAL = { name: 'locals/NAME', what: 'the name of the revision, locals/NAME,' } as const;
export const ARCHIVE = {
  name: 'FILE.tgz',
  what: 'FILE.tgz, an archive of berth pack or pvr,',
  completes: 'files',
} as const;

export const REVISIONS = 'Revisions';

/** A file, or so many bytes of standard input. Of a pipe nobody knows how many there will be. */
function source(path: string): { readonly stream: Readable; readonly bytes: number | undefined } {
  const fromStdin = stdinBytes(path);
  if (fromStdin !== undefined) return { stream: process.stdin, bytes: fromStdin };
  // Before the stream, whose error nobody would wait for yet.
  const found = statSync(path);
  return { stream: createReadStream(path), bytes: found.isFile() ? found.size : undefined };
}

/** Answers what the device says, or how it ends where nothing could be sent. */
async function putFile({ socket }: Context, path: string, target: string, name: string): Promise<Answer | ExitCode> {
  return await whileSending(stdinBytes(path) === undefined ? path : 'standard input', async (onProgress) => {
    const { stream, bytes } = source(path);
    const onSent = (sent: number): void => {
      if (bytes !== undefined) onProgress(name, bytes === 0 ? 1 : sent / bytes);
    };
    // Whoever writes to standard input may go on, or wait; that ends with the answer.
    return await send(socket, target, { stream, bytes, onSent }).finally(() => stream.destroy());
  });
}

/** Shows how far it is. `path`: what is to blame where it cannot be read. */
export async function whileSending<T>(
  path: string,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T | ExitCode> {
  const bar = createProgressBar(process.stderr, 1);
  try {
    return await work((what, fraction) => bar.update(what, fraction)).finally(() => bar.clear());
  } catch (error) {
    return complainOf(path, error);
  }
}

async function putObject(context: Context, [path = '', sha = '']: Arguments): Promise<ExitCode> {
  const answer = await putFile(context, path, `/objects/${encodeURIComponent(sha)}`, sha.slice(0, 12));
  return typeof answer === 'number' ? answer : conclude(context, answer);
}

async function putState(context: Context, [path = '', name = '']: Arguments): Promise<ExitCode> {
  const answer = await putFile(context, path, `/steps/${stepPath(name)}`, name);
  return typeof answer === 'number' ? answer : await concludeStep(context, name, answer);
}

/** `answer`: of the device, to the revision. One that it has taken gets its message. */
async function concludeStep(context: Context, name: string, answer: Answer): Promise<ExitCode> {
  if (answer.status !== 200 || context.message === undefined) return conclude(context, answer);
  return await tell(context, 'PUT', `/steps/${stepPath(name)}/commitmsg`, context.message);
}

function complainOf(path: string, error: unknown): ExitCode {
  if (error instanceof BadArchive) return complain(`${path}: ${error.message}; berth pack -o FILE.tgz makes one`);
  if (error instanceof EndedEarly) return complain(`${path}: ${error.message}`);
  // What Node says of files names most of them.
  if (error instanceof Error && 'code' in error && 'path' in error) return complain(error.message);
  if (error instanceof Error && 'code' in error) {
    return complain(`${path}: ${error.code === 'EISDIR' ? 'is a folder; name a file' : error.message}`);
  }
  throw error;
}

async function getObject(context: Context, [sha = '']: Arguments): Promise<ExitCode> {
  return conclude(context, await receive(context.socket, `/objects/${encodeURIComponent(sha)}`, process.stdout));
}

async function install(context: Context, [file = '', given]: Arguments): Promise<ExitCode> {
  const name = given ?? localNameOf(file);
  const refusal = nameRefusal(name);
  if (refusal !== undefined) return complain(refusal);
  const sent = await whileSending(file, (onProgress) => sendObjects(context.socket, file, onProgress));
  if (typeof sent === 'number') return sent;
  return typeof sent === 'string' ? await bring(context, name, sent) : conclude(context, sent);
}

/** The state of a revision whose objects are there. Says what it is called, since that may be by itself. */
export async function bring(context: Context, name: string, state: string): Promise<ExitCode> {
  const answer = await sendState(context.socket, name, state);
  if (answer.status === 200) {
    process.stdout.write(`${asTable(context) ? name : JSON.stringify({ revision: name })}\n`);
  }
  return await concludeStep(context, name, answer);
}

export const STEP_COMMANDS: readonly Command[] = [
  {
    section: REVISIONS,
    words: 'steps install',
    args: [ARCHIVE, { ...LOCAL, optional: true }],
    help: 'bring a whole revision onto the device; cmd run runs it',
    perform: install,
  },
  {
    section: REVISIONS,
    words: 'steps put',
    args: [PATH, LOCAL],
    help: 'a state JSON, whose objects are here',
    perform: putState,
  },
  {
    section: REVISIONS,
    words: 'objects put',
    args: [PATH, SHA],
    help: 'PATH -SIZE: so many bytes of standard input',
    perform: putObject,
  },
  { section: REVISIONS, words: 'objects get', args: [SHA], help: 'to standard output', perform: getObject },
];
