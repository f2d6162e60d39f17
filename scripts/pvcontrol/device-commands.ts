// Commands that tell the device to do something, and those that tell it something.
import process from 'node:process';
import { type Arguments, type Command, type Context, conclude, tell } from './context.ts';
import { ask, type Patience } from './control-socket.ts';
import { EXIT, type ExitCode } from './failure.ts';

export const REVISION = { name: 'REV', what: 'the REV, the name of a revision,', completes: 'steps' } as const;
const MESSAGE = { name: 'MSG', what: 'the MSG', optional: true, mayBeEmpty: true } as const;

const DEVICE = 'The device';
const REVISIONS = 'Revisions';
const SETTINGS = 'Metadata and configuration';

function command(section: string, words: string, op: string, args: Command['args'], help: string): Command {
  const perform = (context: Context, [payload = '']: Arguments): Promise<ExitCode> =>
    tell(context, 'POST', '/commands', { op, payload });
  return { section, words: `cmd ${words}`, args, help, perform };
}

const SECONDS = { name: 'SECONDS', what: 'the number of SECONDS' } as const;

export const COMMAND_COMMANDS: readonly Command[] = [
  command(REVISIONS, 'run', 'LOCAL_RUN', [REVISION], 'try a revision; it is rolled back if it fails'),
  command(REVISIONS, 'run-commit', 'LOCAL_RUN_COMMIT', [REVISION], 'run it, and keep it whatever it does'),
  command(REVISIONS, 'try-once', 'TRY_ONCE', [REVISION], 'run it until the next reboot'),
  command(REVISIONS, 'apply', 'LOCAL_APPLY', [REVISION], 'check all of it, and leave it at that'),
  command(REVISIONS, 'make-factory', 'MAKE_FACTORY', [{ ...REVISION, optional: true }], 'make it revision 0'),
  command(REVISIONS, 'run-gc', 'RUN_GC', [], 'remove what no revision needs'),
  command(DEVICE, 'reboot', 'REBOOT_DEVICE', [MESSAGE], 'reboot the device'),
  command(DEVICE, 'poweroff', 'POWEROFF_DEVICE', [MESSAGE], 'stop all containers and power off'),
  command(DEVICE, 'defer-reboot', 'DEFER_REBOOT', [SECONDS], 'put off the reboot that ends a debug shell'),
  command(DEVICE, 'enable-ssh', 'ENABLE_SSH', [], ''),
  command(DEVICE, 'disable-ssh', 'DISABLE_SSH', [], ''),
  command(DEVICE, 'go-remote', 'GO_REMOTE', [], ''),
  command(DEVICE, 'unclaim', 'UNCLAIM', [], ''),
];

const KEY = { name: 'KEY', what: 'the KEY' } as const;
/** Without it, the key is there and empty. */
const VALUE = { name: 'VALUE', what: 'the VALUE', optional: true, mayBeEmpty: true } as const;

function metadata(words: 'usrmeta' | 'devmeta', path: string, help: readonly [string, string]): readonly Command[] {
  const of = (key: string | undefined): string => `${path}/${encodeURIComponent(key ?? '')}`;
  return [
    {
      section: SETTINGS,
      words: `${words} save`,
      args: [KEY, VALUE],
      help: help[0],
      perform: (context, [key, value = '']) => tell(context, 'PUT', of(key), value),
    },
    {
      section: SETTINGS,
      words: `${words} delete`,
      args: [KEY],
      help: help[1],
      perform: (context, [key]) => tell(context, 'DELETE', of(key)),
    },
  ];
}

export const METADATA_COMMANDS: readonly Command[] = [
  ...metadata('usrmeta', '/user-meta', [
    'tell it something; the container NAME finds NAME.KEY as /pantavisor/user-meta/KEY',
    'forget it',
  ]),
  ...metadata('devmeta', '/device-meta', ['add to it', 'take it away again']),
];

const DRIVER = { name: 'NAME', what: 'the NAME of a driver', optional: true } as const;

function drivers(action: 'load' | 'unload', help: string): Command {
  const path = (name: string | undefined): string =>
    name === undefined ? `/drivers/${action}` : `/drivers/${encodeURIComponent(name)}/${action}`;
  return {
    section: DEVICE,
    words: `drivers ${action}`,
    args: [DRIVER],
    help,
    perform: (context, [name]) => tell(context, 'PUT', path(name), undefined, 'drivers'),
  };
}

async function print(context: Context, method: string, path: string, patience?: Patience): Promise<ExitCode> {
  const answer = await ask(context.socket, method, path, undefined, patience);
  if (answer.status !== 200) return conclude(context, answer);
  process.stdout.write(answer.body.endsWith('\n') ? answer.body : `${answer.body}\n`);
  return EXIT.ok;
}

export const DEVICE_COMMANDS: readonly Command[] = [
  drivers('load', 'load its modules; without NAME of all manual drivers'),
  drivers('unload', 'take them out again'),
  {
    section: DEVICE,
    words: 'buildinfo',
    args: [],
    help: 'what this build is',
    perform: (context) => print(context, 'GET', '/buildinfo'),
  },
  {
    section: REVISIONS,
    words: 'storage gc',
    args: [],
    help: 'as cmd run-gc, and says how many bytes it got',
    perform: (context) => print(context, 'POST', '/storage/gc', 'garbage'),
  },
  {
    section: REVISIONS,
    words: 'steps get',
    args: [REVISION],
    help: 'its state JSON; current: of the running one',
    perform: (context, [revision = '']) => print(context, 'GET', `/steps/${stepPath(revision)}`),
  },
];

/** `locals/NAME` stays two parts; anything odd in them is the server's to refuse. */
export function stepPath(revision: string): string {
  return revision.split('/').map(encodeURIComponent).join('/');
}
