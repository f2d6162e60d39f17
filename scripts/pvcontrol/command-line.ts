// What was asked for, from the command line. Pure; says what it expected where it does not understand.
import { parseArgs } from 'node:util';

export type View =
  | 'containers'
  | 'groups'
  | 'services'
  | 'leases'
  | 'pools'
  | 'health'
  | 'usrmeta'
  | 'devmeta'
  | 'drivers'
  | 'config'
  | 'conf';
export type MetadataView = 'usrmeta' | 'devmeta';
export type ContainerAction = 'start' | 'stop' | 'restart';

/** Without a name: every manual driver. */
export interface DriverCommand {
  readonly kind: 'driver';
  readonly action: 'load' | 'unload';
  readonly name: string | undefined;
}

export type Command =
  | DriverCommand
  | { readonly kind: 'help' }
  | { readonly kind: 'show'; readonly view: View }
  | { readonly kind: 'control'; readonly action: ContainerAction; readonly name: string }
  | { readonly kind: 'signal'; readonly type: string }
  | { readonly kind: 'saveMetadata'; readonly of: MetadataView; readonly key: string; readonly value: string }
  | { readonly kind: 'deleteMetadata'; readonly of: MetadataView; readonly key: string };

export type Format = 'json' | 'table' | 'auto';

export interface CommandLine {
  readonly command: Command;
  readonly socket: string | undefined;
  /** `auto`: a table on a terminal, the API's JSON elsewhere. */
  readonly format: Format;
}

/** `message` is for people and complete. */
export type ParsedCommandLine =
  | { readonly ok: true; readonly commandLine: CommandLine }
  | { readonly ok: false; readonly message: string };

const OPTIONS = {
  socket: { type: 'string', short: 's' },
  json: { type: 'boolean' },
  table: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export function parseCommandLine(args: readonly string[]): ParsedCommandLine {
  const options = parseOptions(args);
  if (!options.ok) return options;
  const { values, positionals } = options;
  if (values.socket === '') return wrong('-s takes the path of a socket, it got an empty one');
  const command = values.help === true ? ({ kind: 'help' } as const) : parseCommand(positionals);
  if (typeof command === 'string') return wrong(command);
  if (values.json === true && values.table === true) return wrong('--json and --table exclude each other');
  const format = values.json === true ? 'json' : values.table === true ? 'table' : 'auto';
  return { ok: true, commandLine: { command, socket: values.socket, format } };
}

function parseOptions(args: readonly string[]) {
  try {
    return { ok: true as const, ...parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true }) };
  } catch (error) {
    // parseArgs names the option and, after a full stop, gives advice for other cases than ours.
    const [message = ''] = (error instanceof Error ? error.message : String(error)).split('. ', 1);
    return wrong(`${message}; options are -s PATH, --json, --table and --help`);
  }
}

const COMMANDS = [
  'ls',
  'containers',
  'groups',
  'services',
  'ipam',
  'health',
  'signal',
  'usrmeta',
  'devmeta',
  'drivers',
  'config',
  'conf',
  'help',
];

/** A command, or what is wrong with it. */
function parseCommand([word, ...rest]: readonly string[]): Command | string {
  switch (word) {
    case undefined:
      return `a command is missing: expected one of ${COMMANDS.join(', ')}`;
    case 'help':
      return { kind: 'help' };
    case 'ls':
      return show('ls', 'containers', rest);
    case 'services':
      return show('services', 'services', rest);
    case 'health':
      return show('health', 'health', rest);
    case 'containers':
      return parseContainers(rest);
    case 'groups':
      return rest[0] === 'ls' ? show('groups ls', 'groups', rest.slice(1)) : expected('groups', 'ls', rest[0]);
    case 'ipam':
      return parseIpam(rest);
    case 'signal':
      return parseSignal(rest);
    case 'usrmeta':
    case 'devmeta':
      return parseMetadata(word, rest);
    case 'drivers':
      return parseDrivers(rest);
    case 'config':
    case 'conf':
      return rest[0] === 'ls' ? show(`${word} ls`, word, rest.slice(1)) : expected(word, 'ls', rest[0]);
    default:
      return `unknown command '${word}': expected one of ${COMMANDS.join(', ')}`;
  }
}

function parseContainers([word, ...rest]: readonly string[]): Command | string {
  switch (word) {
    case 'ls':
      return show('containers ls', 'containers', rest);
    case 'start':
    case 'stop':
    case 'restart': {
      const [name, surplus] = rest;
      if (name === undefined || name === '') return `containers ${word}: the NAME of a container is missing`;
      if (surplus !== undefined) return `containers ${word} takes one NAME, it got '${surplus}' as well`;
      return { kind: 'control', action: word, name };
    }
    default:
      return expected('containers', 'ls, start NAME, stop NAME or restart NAME', word);
  }
}

function parseIpam([word, ...rest]: readonly string[]): Command | string {
  switch (word) {
    case 'leases':
    case 'pools':
      return show(`ipam ${word}`, word, rest);
    default:
      return expected('ipam', 'leases or pools', word);
  }
}

function parseSignal([type, surplus]: readonly string[]): Command | string {
  // `alive` is the stock client's; whether it means anything is the server's to say.
  if (type !== 'ready' && type !== 'alive') return expected('signal', 'ready', type);
  return surplus === undefined ? { kind: 'signal', type } : `signal ${type} takes nothing more, it got '${surplus}'`;
}

function parseMetadata(of: MetadataView, [word, key, value, surplus]: readonly string[]): Command | string {
  switch (word) {
    case 'ls':
      return show(`${of} ls`, of, key === undefined ? [] : [key]);
    case 'save':
      if (key === undefined || key === '') return `${of} save: the KEY is missing`;
      // An empty value is one.
      if (value === undefined) return `${of} save ${key}: the VALUE is missing`;
      if (surplus === undefined) return { kind: 'saveMetadata', of, key, value };
      return `${of} save takes one KEY and one VALUE, it got '${surplus}' as well: put quotes around a value with blanks`;
    case 'delete':
      if (key === undefined || key === '') return `${of} delete: the KEY is missing`;
      return value === undefined
        ? { kind: 'deleteMetadata', of, key }
        : `${of} delete takes one KEY, it got '${value}' as well`;
    default:
      return expected(of, 'ls, save KEY VALUE or delete KEY', word);
  }
}

function parseDrivers([word, name, surplus]: readonly string[]): Command | string {
  switch (word) {
    case 'ls':
      return show('drivers ls', 'drivers', name === undefined ? [] : [name]);
    case 'load':
    case 'unload':
      if (name === '') return `drivers ${word}: the NAME is empty; leave it out for all manual drivers`;
      if (surplus !== undefined) return `drivers ${word} takes one NAME at most, it got '${surplus}' as well`;
      return { kind: 'driver', action: word, name };
    default:
      return expected('drivers', 'ls, load [NAME] or unload [NAME]', word);
  }
}

function show(command: string, view: View, rest: readonly string[]): Command | string {
  return rest[0] === undefined ? { kind: 'show', view } : `${command} takes nothing more, it got '${rest[0]}'`;
}

function expected(command: string, what: string, got: string | undefined): string {
  return `${command}: expected ${what}${got === undefined ? '' : `, not '${got}'`}`;
}

function wrong(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
