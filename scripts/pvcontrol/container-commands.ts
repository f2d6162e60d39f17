// Commands that act on containers and Berth's services.
import { setTimeout as delay } from 'node:timers/promises';
import { type Arguments, type Command, type Context, complain, conclude, hintAt, tell } from './context.ts';
import { ask } from './control-socket.ts';
import { type ExitCode, printable } from './failure.ts';

const CONTAINER = { name: 'NAME', what: 'the NAME of a container', completes: 'containers' } as const;
const SERVICE = { name: 'NAME', what: 'the NAME of a service', completes: 'services' } as const;

type Action = 'start' | 'stop' | 'restart';

function control(action: Action) {
  return (context: Context, [name = '']: Arguments): Promise<ExitCode> => act(context, '/containers', name, action);
}

function controlDaemon(context: Context, name: string, action: 'start' | 'stop'): Promise<ExitCode> {
  return act(context, '/daemons', name, action);
}

async function act(context: Context, list: string, name: string, action: Action): Promise<ExitCode> {
  const answer = await ask(context.socket, 'PUT', `${list}/${encodeURIComponent(name)}`, { action });
  return conclude(context, answer, answer.status === 404 ? await hintAt(context.socket, list, name) : '');
}

const LOOK_AGAIN_MS = 100;
/** A service has 3 s to end by itself, and is killed then. */
const LOOKS = 100;

/** Stopped, gone, started: without waiting for its end the start would change nothing. */
async function restartDaemon(context: Context, name: string): Promise<ExitCode> {
  const stopped = await controlDaemon(context, name, 'stop');
  if (stopped !== 0) return stopped;
  for (let look = 0; look < LOOKS; look += 1) {
    const { body } = await ask(context.socket, 'GET', '/daemons');
    const rows: unknown = JSON.parse(body);
    const isGone = (row: unknown): boolean =>
      typeof row === 'object' && row !== null && 'name' in row && row.name === name && 'pid' in row && row.pid === 0;
    if (Array.isArray(rows) && rows.some(isGone)) return await controlDaemon(context, name, 'start');
    await delay(LOOK_AGAIN_MS);
  }
  return complain(`'${printable(name)}' did not end; look at pvcontrol services`);
}

function signal(type: string) {
  return (context: Context): Promise<ExitCode> => tell(context, 'POST', '/signal', { type, payload: '' });
}

const CONTAINERS = 'Containers';
const DEVICE = 'The device';

export const CONTAINER_COMMANDS: readonly Command[] = [
  {
    section: CONTAINERS,
    words: 'containers start',
    args: [CONTAINER],
    help: 'start a container',
    perform: control('start'),
  },
  {
    section: CONTAINERS,
    words: 'containers stop',
    args: [CONTAINER],
    help: 'stop it; recovery leaves it alone',
    perform: control('stop'),
  },
  {
    section: CONTAINERS,
    words: 'containers restart',
    args: [CONTAINER],
    help: 'stop it and start it again',
    perform: control('restart'),
  },
  {
    section: CONTAINERS,
    words: 'signal ready',
    args: [],
    help: 'from inside a container: "I am ready"',
    perform: signal('ready'),
  },
  // The stock client's; whether it means anything is the server's to say.
  { section: CONTAINERS, words: 'signal alive', args: [], help: '', perform: signal('alive') },
  ...(['start', 'stop'] as const).map((action) => ({
    section: DEVICE,
    words: `daemons ${action}`,
    args: [SERVICE],
    help: action === 'stop' ? 'a service ends and stays down' : 'a service that was stopped comes up',
    perform: (context: Context, [name = '']: Arguments) => controlDaemon(context, name, action),
  })),
  {
    section: DEVICE,
    words: 'daemons restart',
    args: [SERVICE],
    help: 'both, one after the other',
    perform: (context, [name = '']) => restartDaemon(context, name),
  },
];
