// What was asked for, from the command line and the table of commands. Pure; says what it expected where it does not understand.
import { parseArgs } from 'node:util';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { firstWordOf, secondWordOf } from './synonyms.ts';

export type Format = 'json' | 'table' | 'auto';

/** What an argument is, for the shell that completes it. */
export type Completes = 'containers' | 'services' | 'steps' | 'files';

export interface Argument {
  /** As the help shows it: `NAME`. */
  readonly name: string;
  /** In a sentence: `the NAME of a container`. */
  readonly what: string;
  readonly optional?: true;
  /** An empty text is one, too. */
  readonly mayBeEmpty?: true;
  /** The last one only: all that follow are such, too. */
  readonly repeats?: true;
  readonly completes?: Completes;
}

export interface CommandWords {
  /** `containers stop`. */
  readonly words: string;
  readonly args: readonly Argument[];
  /** What follows the first argument is not ours: no word of it is an option. */
  readonly isVerbatim?: true;
}

export interface CommandLine<C extends CommandWords> {
  readonly command: C;
  /** As many as its arguments, or more where the last one repeats; undefined for optional ones that are not there. */
  readonly args: readonly (string | undefined)[];
  readonly socket: string | undefined;
  /** `auto`: a table on a terminal, the API's JSON elsewhere. */
  readonly format: Format;
  readonly follow: boolean;
  /** The commit message of a revision that comes. */
  readonly message: string | undefined;
  /** The file that gets what is printed. */
  readonly output: string | undefined;
  readonly verbose: boolean;
}

/** `message` is for people and complete. */
export type ParsedCommandLine<C extends CommandWords> =
  | { readonly kind: 'command'; readonly line: CommandLine<C> }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string };

const EVERYWHERE = {
  socket: { type: 'string', short: 's' },
  message: { type: 'string', short: 'm' },
  json: { type: 'boolean' },
  table: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;
/** Pantavisor's client has -f before the command only, where it takes a file. */
const BEFORE = {
  ...EVERYWHERE,
  output: { type: 'string', short: 'f' },
  verbose: { type: 'boolean', short: 'v' },
  follow: { type: 'boolean' },
} as const;
const AFTER = { ...EVERYWHERE, follow: { type: 'boolean', short: 'f' } } as const;

/** No option starts with a digit: such a word is a number, or so many bytes of standard input. */
const NEGATIVE = /^-(?=\d)/;
/** Before such words, which are options to parseArgs: no word of a command line can have it. */
const MARK = '\0';
const MARKED = /^\0/;
const STDIN_BYTES = /^-(\d+)$/;

/** `-123`, as a path: that many bytes of standard input; undefined: it is one. */
export function stdinBytes(path: string): number | undefined {
  const [, bytes] = STDIN_BYTES.exec(path) ?? [];
  return bytes === undefined ? undefined : Number(bytes);
}

export function parseCommandLine<C extends CommandWords>(
  argv: readonly string[],
  commands: readonly C[],
): ParsedCommandLine<C> {
  const verbatim = commands.filter(({ isVerbatim }) => isVerbatim).map(({ words }) => words);
  const marked = argv.map((word) => word.replace(NEGATIVE, `${MARK}-`));
  const options = parseOptions(marked, verbatim);
  if (typeof options === 'string') return { kind: 'wrong', message: options };
  const { values } = options;
  const [socket, message, output] = [values.socket, values.message, values.output].map(unmarked);
  const positionals = options.positionals.map((word) => word.replace(MARKED, ''));
  if (socket === '') return { kind: 'wrong', message: '-s takes the path of a socket, it got an empty one' };
  if (values.help === true || positionals[0] === 'help') return { kind: 'help' };
  if (values.json === true && values.table === true) {
    return { kind: 'wrong', message: '--json and --table exclude each other' };
  }
  const found = findCommand(positionals, commands);
  if (typeof found === 'string') return { kind: 'wrong', message: found };
  const rest = positionals.slice(found.words.split(' ').length);
  const problem = argumentProblem(found, rest);
  if (problem !== undefined) return { kind: 'wrong', message: problem };
  const format = values.json === true ? 'json' : values.table === true ? 'table' : 'auto';
  const args = [...found.args.map((_, index) => rest[index]), ...rest.slice(found.args.length)];
  return {
    kind: 'command',
    line: {
      command: found,
      args,
      socket,
      format,
      follow: values.follow === true,
      // Scripts pass on what they have: an empty one is none.
      message: message === '' ? undefined : message,
      output: output === '' ? undefined : output,
      verbose: values.verbose === true,
    },
  };
}

function unmarked(word: string | undefined): string | undefined {
  return word?.replace(MARKED, '');
}

/** `verbatim`: commands whose first argument ends the options. */
function parseOptions(argv: readonly string[], verbatim: readonly string[]) {
  try {
    const [command] = placesOf(argv, BEFORE);
    const tail = argv.slice(command);
    const own = verbatim.includes(tail[0] ?? '') ? (placesOf(tail, AFTER)[1] ?? tail.length) + 1 : tail.length;
    const before = parseArgs({ args: argv.slice(0, command), options: BEFORE });
    const after = parseArgs({ args: tail.slice(0, own), options: AFTER, allowPositionals: true });
    const rest = tail.slice(tail[own] === '--' ? own + 1 : own);
    return { values: { ...before.values, ...after.values }, positionals: [...after.positionals, ...rest] };
  } catch (error) {
    // parseArgs names the option and, after a full stop, gives advice for other cases than ours.
    const [message = ''] = reasonOf(error).split('. ', 1);
    return `${message}; options are -s PATH, -f FILE, -m MSG, -v, --json, --table, --follow and --help`;
  }
}

/** Of words that are neither options nor values of options. */
function placesOf(argv: readonly string[], options: typeof BEFORE | typeof AFTER): readonly number[] {
  const { tokens } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: false, tokens: true });
  return tokens.flatMap((token) => (token.kind === 'positional' ? token.index : []));
}

/** The command, or what is wrong. */
function findCommand<C extends CommandWords>([given, second]: readonly string[], commands: readonly C[]): C | string {
  const firstWords = [...new Set(commands.map(({ words }) => words.split(' ', 1)[0] ?? ''))];
  if (given === undefined) return `a command is missing: expected one of ${firstWords.join(', ')}`;
  const first = firstWordOf(given);
  const single = commands.find(({ words }) => words === first);
  if (single !== undefined) return single;
  const family = commands.filter(({ words }) => words.startsWith(`${first} `));
  if (family.length === 0) return `unknown command '${given}': expected ${expectedFor(given, commands, firstWords)}`;
  const member = family.find(({ words }) => words === `${first} ${secondWordOf(first, second ?? '')}`);
  if (member !== undefined) return member;
  const forms = family.map((command) => formOf(command).slice(first.length + 1));
  return `${first}: expected ${alternatives(forms)}${second === undefined ? '' : `, not '${second}'`}`;
}

/** Those that the word is the second of, `containers stop` for `stop`; where it is of none, all. */
function expectedFor(given: string, commands: readonly CommandWords[], firstWords: readonly string[]): string {
  const meant = commands.filter(({ words }) => words.split(' ')[1] === given);
  return meant.length > 0 ? alternatives(meant.map(formOf)) : `one of ${firstWords.join(', ')}`;
}

function alternatives(forms: readonly string[]): string {
  const last = forms.at(-1) ?? '';
  return forms.length < 2 ? last : `${forms.slice(0, -1).join(', ')} or ${last}`;
}

/** `containers stop NAME`, `cmd reboot [MSG]`. */
export function formOf({ words, args }: CommandWords): string {
  return [words, ...args.map(argumentForm)].join(' ');
}

function argumentForm({ name, optional, repeats }: Argument): string {
  const form = repeats ? `${name}…` : name;
  return optional ? `[${form}]` : form;
}

function argumentProblem({ words, args }: CommandWords, given: readonly string[]): string | undefined {
  const surplus = args.at(-1)?.repeats ? undefined : given[args.length];
  if (surplus !== undefined) {
    const names = args.map(argumentForm).join(' ');
    if (names === '') return `${words} takes nothing more, it got '${surplus}'`;
    return `${words} takes ${names} and nothing more, it got '${surplus}' as well; put quotes around what has blanks`;
  }
  for (const [index, { name, what, optional, mayBeEmpty }] of args.entries()) {
    if (given[index] === undefined && optional !== true) return `${words}: ${what} is missing`;
    if (given[index] === '' && mayBeEmpty !== true) {
      return optional === true
        ? `${words}: the ${name} is empty; leave it out, or name one`
        : `${words}: ${what} is missing`;
    }
  }
  return undefined;
}
