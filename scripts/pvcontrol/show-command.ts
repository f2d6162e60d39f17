// `show NAME`: everything about one container on one page.
import process from 'node:process';
import * as z from 'zod/mini';
import { type Arguments, asTable, type Command, type Context, conclude, hintAt } from './context.ts';
import { ask } from './control-socket.ts';
import { EXIT, type ExitCode, printable } from './failure.ts';
import { elapsed } from './quantities.ts';
import { reasonsOf } from './reasons.ts';

const details = z.object({
  name: z.string(),
  group: z.string(),
  status: z.string(),
  status_goal: z.string(),
  restart_policy: z.string(),
  roles: z.array(z.string()),
  auto_recovery: z.optional(
    z.object({ policy: z.string(), max_retries: z.number(), current_retries: z.number(), backoff_policy: z.string() }),
  ),
  user_stopped: z.optional(z.string()),
  network: z.optional(
    z.object({
      hostname: z.string(),
      interfaces: z.array(
        z.object({
          pool: z.string(),
          name: z.string(),
          ipv4: z.string(),
          gateway: z.string(),
          bridge: z.string(),
          host_interface: z.string(),
          mac: z.string(),
        }),
      ),
    }),
  ),
  pid: z.nullable(z.number()),
  exit: z.nullable(
    z.object({
      at: z.string(),
      status: z.object({ kind: z.string(), code: z.optional(z.number()), signal: z.optional(z.string()) }),
    }),
  ),
  restarts: z.number(),
  since: z.string(),
  netns: z.optional(z.nullable(z.string())),
  detached_mounts: z.optional(z.array(z.string())),
  mounts: z.optional(z.nullable(z.array(z.object({ target: z.string(), type: z.string(), source: z.string() })))),
});
type Details = z.output<typeof details>;

async function show(context: Context, [name = '']: Arguments): Promise<ExitCode> {
  const answer = await ask(context.socket, 'GET', `/containers/${encodeURIComponent(name)}`);
  if (answer.status !== 200) {
    const hint = answer.status === 404 ? await hintAt(context.socket, '/containers', name) : '';
    return conclude(context, answer, hint);
  }
  const parsed = details.safeParse(JSON.parse(answer.body));
  if (!asTable(context) || !parsed.success) process.stdout.write(`${answer.body}\n`);
  else process.stdout.write(page(parsed.data, await reasonsOf(context.socket, name), Date.now()));
  return EXIT.ok;
}

/** Pairs of a word and what there is to say; nothing to say leaves the pair out. */
function page(row: Details, reasons: readonly string[], nowMs: number): string {
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ['name', row.name],
    ['status', `${row.status} for ${elapsed(row.since, nowMs)}, goal ${row.status_goal}`],
    ...reasons.map((reason) => ['why', reason] as const),
    ['group', row.group],
    ['roles', row.roles.join(', ')],
    ['restart', restartText(row)],
    ['recovery', recoveryText(row)],
    ['pid', row.pid === null ? undefined : String(row.pid)],
    ['last exit', exitText(row)],
    ['hostname', row.network?.hostname],
    ...(row.network?.interfaces ?? []).flatMap(interfacePairs),
    ['netns', row.netns ?? undefined],
    ...(row.mounts ?? []).map(({ target, type, source }) => ['mount', `${target} (${type}, ${source})`] as const),
    ...(row.detached_mounts ?? []).map((target) => ['detached', `${target}: busy, ends with its last user`] as const),
  ];
  return pairs
    .filter(([, text]) => text !== undefined)
    .map(([word, text = '']) => `${word.padEnd(11)} ${printable(text)}\n`)
    .join('');
}

function interfacePairs(each: NonNullable<Details['network']>['interfaces'][number]) {
  return [
    [each.name, `${each.ipv4} of pool ${each.pool}, gateway ${each.gateway}, MAC ${each.mac}`],
    ['', `host side ${each.host_interface} in ${each.bridge}`],
  ] as const;
}

function restartText({ restart_policy, restarts, user_stopped }: Details): string {
  const times = restarts === 1 ? '1 restart' : `${restarts} restarts`;
  return `policy ${restart_policy}, ${times}${user_stopped === 'true' ? ', stopped by a user' : ''}`;
}

function recoveryText({ auto_recovery: recovery }: Details): string | undefined {
  if (recovery === undefined) return undefined;
  const most = recovery.max_retries === 0 ? 'any number' : String(recovery.max_retries);
  return `${recovery.policy}, ${recovery.current_retries} of ${most} retries, then ${recovery.backoff_policy}`;
}

function exitText({ exit }: Details): string | undefined {
  if (exit === null) return undefined;
  const { kind, code, signal } = exit.status;
  const how = kind === 'code' ? `code ${code}` : kind === 'signal' ? `signal ${signal}` : 'unknown';
  return `${how}, ${exit.at}`;
}

export const SHOW_COMMANDS: readonly Command[] = [
  {
    section: 'Containers',
    words: 'show',
    args: [{ name: 'NAME', what: 'the NAME of a container', completes: 'containers' }],
    help: 'everything about one: what is wrong with it, addresses, mounts, last exit',
    perform: show,
  },
];
