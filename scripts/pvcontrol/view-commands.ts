// Commands that show what an endpoint answers: as a table to people, as it is to programs.
import process from 'node:process';
import { asTable, type Command, type Context, conclude } from './context.ts';
import { type Answer, ask } from './control-socket.ts';
import { EXIT, type ExitCode, printable } from './failure.ts';
import { PATH_OF, type View } from './views.ts';

function show(view: View) {
  return async (context: Context): Promise<ExitCode> =>
    await present(view, await ask(context.socket, 'GET', PATH_OF[view]), context);
}

async function present(view: View, answer: Answer, context: Context): Promise<ExitCode> {
  // 503 of /health with its reasons is an answer, and no success.
  const degraded = view === 'health' && answer.status === 503 && answer.body.startsWith('{"status"');
  if (answer.status !== 200 && !degraded) return conclude(context, answer);
  process.stdout.write(asTable(context) ? await table(view, answer.body) : `${answer.body}\n`);
  return degraded ? EXIT.busy : EXIT.ok;
}

async function table(view: View, body: string): Promise<string> {
  // Only a terminal pays for loading it.
  const { renderView } = await import('./tables.ts');
  return renderView(view, body, terminalStyle(), Date.now()) ?? `${printable(body)}\n`;
}

export function terminalStyle() {
  const colour = process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb';
  return { width: process.stdout.columns > 0 ? process.stdout.columns : 80, colour };
}

function view(section: string, words: string, of: View, help: string): Command {
  return { section, words, args: [], help, perform: show(of) };
}

const CONTAINERS = 'Containers';
const NETWORK = 'Network';
const DEVICE = 'The device';
const REVISIONS = 'Revisions';
const SETTINGS = 'Metadata and configuration';

export const VIEW_COMMANDS: readonly Command[] = [
  view(CONTAINERS, 'ls', 'containers', 'status, goal, address, pid and uptime of each'),
  view(CONTAINERS, 'containers ls', 'containers', 'the same'),
  view(CONTAINERS, 'groups ls', 'groups', 'groups in start order, with goal and status'),
  view(NETWORK, 'ipam leases', 'leases', 'which container has which address'),
  view(NETWORK, 'ipam pools', 'pools', 'pools, their bridges, and how full they are'),
  view(NETWORK, 'graph ls', 'graph', 'service links between containers'),
  view(DEVICE, 'health', 'health', 'what is not as it should be; exit code 75 with any'),
  view(DEVICE, 'services', 'services', "Berth's own services: state, restarts, memory"),
  view(DEVICE, 'daemons ls', 'daemons', 'the same, as far as Pantavisor tells of daemons'),
  view(DEVICE, 'drivers ls', 'drivers', 'drivers that containers name, and whether loaded'),
  view(REVISIONS, 'steps ls', 'steps', 'revisions that are here, and how each fared'),
  view(REVISIONS, 'objects ls', 'objects', 'artifacts, by sha256 and size'),
  view(SETTINGS, 'usrmeta ls', 'usrmeta', 'what users told the device'),
  view(SETTINGS, 'devmeta ls', 'devmeta', 'what the device says about itself'),
  view(SETTINGS, 'conf ls', 'conf', 'every configuration key, and who set it'),
  view(SETTINGS, 'config ls', 'config', 'the same by older names, values only'),
];
