// Commands that bring objects and revisions onto the device.
import { createReadStream, statSync } from 'node:fs';
import { basename } from 'node:path';
import process from 'node:process';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { REVISION_NAME_RULE, revisionName } from '../../shared/schema/names.ts';
import { createProgressBar } from '../berth/progress-bar.ts';
import { stdinBytes } from './command-line.ts';
import { type Arguments, asTable, type Command, type Context, complain, conclude, tell } from './context.ts';
import type { Answer } from './control-socket.ts';
import { stepPath } from './device-commands.ts';
import { type ExitCode, printable } from './failure.ts';
import { BadArchive, tarEntries } from './tar-entries.ts';
import { EndedEarly, receive, send } from './transfer.ts';

const SHA = { name: 'SHA', what: 'the SHA, the sha256 of the object,' } as const;
const PATH = { name: 'PATH', what: 'the PATH of a file', completes: 'files' } as const;
const LOCAL = { name: 'locals/NAME', what: 'the name of the revision, locals/NAME,' } as const;
const ARCHIVE = { name: 'FILE.tgz', what: 'FILE.tgz, an archive of berth pack or pvr,', completes: 'files' } as const;

const REVISIONS = 'Revisions';
/** Of a revision's name, after locals/. */
const MAX_NAME = 64;
const OBJECT_ENTRY = /^objects\/([0-9a-f]{64})$/;

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
  const bar = createProgressBar(process.stderr, 1);
  try {
    const { stream, bytes } = source(path);
    const onSent = (sent: number): void => {
      if (bytes !== undefined) bar.update(name, bytes === 0 ? 1 : sent / bytes);
    };
    // Whoever writes to standard input may go on, or wait; that ends with the answer.
    const answer = await send(socket, target, { stream, bytes, onSent }).finally(() => stream.destroy());
    bar.clear();
    return answer;
  } catch (error) {
    bar.clear();
    return complainOf(stdinBytes(path) === undefined ? path : 'standard input', error);
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

/** `locals/` and the file's name, as far as that can be a revision's. */
function defaultName(file: string): string {
  const name = basename(file).replace(/\.(tgz|tar\.gz)$/, '');
  const legal = name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return `locals/${legal.slice(0, MAX_NAME)}`;
}

/** What the device says of it too, but only once it has all objects. */
function isLocalName(name: string): boolean {
  return name.startsWith('locals/') && revisionName.safeParse(name).success;
}

async function install(context: Context, [file = '', given]: Arguments): Promise<ExitCode> {
  const name = given ?? defaultName(file);
  if (!isLocalName(name)) {
    return complain(`'${printable(name)}' cannot be the name of a revision: write locals/ and ${REVISION_NAME_RULE}`);
  }
  const bar = createProgressBar(process.stderr, 1);
  try {
    const answer = await installArchive(context.socket, file, name, (what, fraction) => bar.update(what, fraction));
    bar.clear();
    if (answer.status === 200) {
      process.stdout.write(`${asTable(context) ? name : JSON.stringify({ revision: name })}\n`);
    }
    return await concludeStep(context, name, answer);
  } catch (error) {
    bar.clear();
    return complainOf(file, error);
  }
}

/** Objects as they come, the state last: it is verified with all of them there. Stops at the first that is refused. */
async function installArchive(
  socket: string,
  file: string,
  name: string,
  onProgress: (what: string, fraction: number) => void,
): Promise<Answer> {
  const { size } = statSync(file);
  const raw = createReadStream(file);
  let read = 0;
  raw.on('data', (chunk) => {
    read += chunk.length;
    onProgress(basename(file), read / size);
  });
  const unpacked = raw.pipe(createGunzip());
  raw.on('error', (error) => unpacked.destroy(error));
  let state: string | undefined;
  for await (const entry of tarEntries(unpacked)) {
    const [, sha] = OBJECT_ENTRY.exec(entry.name) ?? [];
    if (entry.name === 'json') state = await text(entry.content);
    if (sha === undefined) continue;
    const answer = await send(socket, `/objects/${sha}`, { stream: entry.content, bytes: entry.bytes });
    if (answer.status !== 200) return answer;
  }
  if (state === undefined) throw new BadArchive('it holds no json, the state of the revision');
  const stream = Readable.from([state], { objectMode: false });
  return await send(socket, `/steps/${stepPath(name)}`, { stream, bytes: Buffer.byteLength(state) });
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
