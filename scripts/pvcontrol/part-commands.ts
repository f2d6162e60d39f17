// `steps add` and `steps remove`: a new revision that is the running one with other containers, or without some.
import { createHash } from 'node:crypto';
import { type OnProgress, sendObjects } from './archive.ts';
import { type Arguments, type Command, type Context, complain, conclude, thereAre } from './context.ts';
import { type Answer, ask } from './control-socket.ts';
import { type ExitCode, printable } from './failure.ts';
import { localNameOf, nameRefusal } from './local-name.ts';
import { type Members, partsOf, readMembers, withoutParts, withParts, writeMembers } from './state-parts.ts';
import { ARCHIVE, bring, REVISIONS, whileSending } from './step-commands.ts';
import { BadArchive } from './tar-entries.ts';

interface Words {
  readonly parts: readonly string[];
  readonly name: string | undefined;
}

/** The last one may be the name of the revision. Scripts pass on what they have: an empty word is none. */
function wordsOf(args: Arguments): Words {
  const words = args.flatMap((word) => (word === undefined || word === '' ? [] : word));
  const last = words.at(-1);
  return words.length > 1 && last?.startsWith('locals/')
    ? { parts: words.slice(0, -1), name: last }
    : { parts: words, name: undefined };
}

/** An exit code: there is nothing to begin with. */
async function runningState(context: Context, name: string | undefined): Promise<Members | ExitCode> {
  const refusal = name === undefined ? undefined : nameRefusal(name);
  if (refusal !== undefined) return complain(refusal);
  const answer = await ask(context.socket, 'GET', '/steps/current');
  if (answer.status !== 200) return conclude(context, answer);
  return readMembers(answer.body) ?? complain('the running revision is no JSON object');
}

/** Without a name it gets one from what it is: the same twice is the same revision, and no other is replaced. */
async function bringAs(context: Context, { name }: Words, members: Members, word: string): Promise<ExitCode> {
  const state = writeMembers(members);
  const digest = createHash('sha256').update(state).digest('hex');
  return await bring(context, name ?? localNameOf(word, `-${digest.slice(0, 8)}`), state);
}

async function add(context: Context, args: Arguments): Promise<ExitCode> {
  const words = wordsOf(args);
  let members = await runningState(context, words.name);
  if (typeof members === 'number') return members;
  for (const file of words.parts) {
    const added = await whileSending(file, (onProgress) => sendParts(context.socket, file, onProgress));
    if (typeof added === 'number') return added;
    if ('status' in added) return conclude(context, added);
    const merged = withParts(members, added);
    for (const path of merged.leftOut) {
      complain(`${file}: its ${printable(path)} is left out, as the device has its own; steps install brings all`);
    }
    members = merged.members;
  }
  return await bringAs(context, words, members, words.parts[0] ?? '');
}

/** As sendObjects, with the state read. */
async function sendParts(socket: string, file: string, onProgress: OnProgress): Promise<Members | Answer> {
  const sent = await sendObjects(socket, file, onProgress);
  if (typeof sent !== 'string') return sent;
  const added = readMembers(sent);
  if (added === undefined) throw new BadArchive('its json is no JSON object');
  return added;
}

async function remove(context: Context, args: Arguments): Promise<ExitCode> {
  const words = wordsOf(args);
  const members = await runningState(context, words.name);
  if (typeof members === 'number') return members;
  const there = partsOf(members);
  const missing = words.parts.find((part) => !there.includes(part));
  if (missing !== undefined) {
    return complain(`'${printable(missing)}' is not in the running revision. ${thereAre(there)}`);
  }
  return await bringAs(context, words, withoutParts(members, words.parts), `without-${words.parts.join('-')}`);
}

const PART = { name: 'PART', what: 'the PART, a container,', completes: 'containers', repeats: true } as const;

export const PART_COMMANDS: readonly Command[] = [
  {
    section: REVISIONS,
    words: 'steps add',
    args: [{ ...ARCHIVE, repeats: true }],
    help: 'a revision that is the running one with these containers; a last locals/NAME names it',
    perform: add,
  },
  {
    section: REVISIONS,
    words: 'steps remove',
    args: [PART],
    help: 'the same without these containers',
    perform: remove,
  },
];
