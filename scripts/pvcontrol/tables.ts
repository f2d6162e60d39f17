// Each answer of the API as a table for a terminal. Only what is shown is asked of the answer, so that newer servers may say more.
import * as z from 'zod/mini';
import { duration, elapsed, mebibytes } from './quantities.ts';
import { type Column, paint, renderTable, type TableStyle, type Tone } from './table.ts';
import type { View } from './views.ts';

/** Undefined when `body` is not what this view should be. `nowMs`: milliseconds since 1970-01-01 UTC. */
export function renderView(view: View, body: string, style: TableStyle, nowMs: number): string | undefined {
  const value = parseJson(body);
  switch (view) {
    case 'containers':
      return renderRows(containers, containerColumns(nowMs), value, style, 'no containers');
    case 'groups':
      return renderRows(groups, groupColumns, value, style, 'no groups');
    case 'services':
      return renderRows(services, serviceColumns, value, style, 'no services');
    case 'leases':
      return renderRows(leases, leaseColumns(nowMs), value, style, 'no leases');
    case 'pools':
      return renderRows(pools, poolColumns, value, style, 'no pools');
    case 'health':
      return renderHealth(value, style);
    case 'usrmeta':
    case 'devmeta':
      return renderPairs(value, style, 'no metadata');
    case 'config':
      return renderPairs(value, style, 'no configuration');
    case 'conf':
      return renderRows(settings, settingColumns, value, style, 'no configuration');
    case 'daemons':
      return renderRows(daemons, daemonColumns, value, style, 'no services');
    case 'steps':
      return renderRows(steps, stepColumns(nowMs), value, style, 'no revisions');
    case 'objects':
      return renderRows(objects, objectColumns, value, style, 'no objects');
    case 'drivers':
      // The API's word for none is an empty object.
      return renderRows(drivers, driverColumns, Array.isArray(value) ? value : [], style, 'no drivers');
    case 'graph':
      return renderRows(z.array(z.unknown()), linkColumns, value, style, 'no service links');
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function renderRows<S extends z.ZodMiniArray>(
  schema: S,
  columns: readonly Column<z.output<S>[number]>[],
  value: unknown,
  style: TableStyle,
  none: string,
): string | undefined {
  const rows = schema.safeParse(value);
  if (!rows.success) return undefined;
  return rows.data.length === 0 ? `${none}\n` : renderTable(columns, rows.data, style);
}

const containers = z.array(
  z.object({
    name: z.string(),
    group: z.string(),
    status: z.string(),
    status_goal: z.string(),
    network: z.optional(z.object({ interfaces: z.array(z.object({ ipv4: z.string() })) })),
    pid: z.optional(z.nullable(z.number())),
    restarts: z.optional(z.number()),
    since: z.optional(z.string()),
  }),
);
type Container = z.output<typeof containers>[number];

function containerColumns(nowMs: number): readonly Column<Container>[] {
  return [
    { title: 'NAME', cell: ({ name }) => name },
    { title: 'GROUP', cell: ({ group }) => group || '-', dispensable: 1 },
    { title: 'STATUS', cell: ({ status }) => ({ text: status, tone: toneOf(status) }) },
    { title: 'GOAL', cell: ({ status_goal }) => status_goal, dispensable: 4 },
    { title: 'ADDRESS', cell: addressOf },
    { title: 'PID', cell: ({ pid }) => (pid == null ? '-' : String(pid)), align: 'right', dispensable: 3 },
    { title: 'RESTARTS', cell: ({ restarts }) => String(restarts ?? '-'), align: 'right', dispensable: 2 },
    { title: 'UPTIME', cell: (row) => uptimeOf(row, nowMs), align: 'right' },
  ];
}

function toneOf(status: string): Tone {
  if (status === 'STARTED' || status === 'READY') return 'good';
  return status === 'STOPPED' ? 'bad' : 'wait';
}

/** Without prefix; the first of several, and how many more there are. */
function addressOf({ network }: Container): string {
  const [first, ...more] = network?.interfaces ?? [];
  if (first === undefined) return '-';
  const [address = first.ipv4] = first.ipv4.split('/', 1);
  return more.length === 0 ? address : `${address} +${more.length}`;
}

function uptimeOf({ pid, since }: Container, nowMs: number): string {
  return pid == null || since === undefined ? '-' : elapsed(since, nowMs);
}

const groups = z.array(
  z.object({ name: z.string(), status_goal: z.string(), restart_policy: z.string(), status: z.string() }),
);
const groupColumns: readonly Column<z.output<typeof groups>[number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'STATUS', cell: ({ status }) => ({ text: status, tone: toneOf(status) }) },
  { title: 'GOAL', cell: ({ status_goal }) => status_goal },
  { title: 'RESTART POLICY', cell: ({ restart_policy }) => restart_policy },
];

const services = z.array(
  z.object({
    name: z.string(),
    state: z.string(),
    pid: z.number(),
    restarts: z.number(),
    uptime_seconds: z.number(),
    memory_bytes: z.number(),
    last_exit: z.nullable(z.object({ reason: z.string() })),
  }),
);
const serviceColumns: readonly Column<z.output<typeof services>[number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'STATE', cell: ({ state }) => ({ text: state, tone: state === 'ready' ? 'good' : 'bad' }) },
  { title: 'PID', cell: ({ pid }) => (pid === 0 ? '-' : String(pid)), align: 'right' },
  { title: 'RESTARTS', cell: ({ restarts }) => String(restarts), align: 'right' },
  { title: 'UPTIME', cell: (row) => (row.pid === 0 ? '-' : duration(row.uptime_seconds)), align: 'right' },
  {
    title: 'MEMORY',
    cell: (row) => (row.pid === 0 ? '-' : mebibytes(row.memory_bytes)),
    align: 'right',
    dispensable: 1,
  },
  { title: 'LAST EXIT', cell: ({ last_exit }) => last_exit?.reason ?? '-' },
];

const leases = z.array(
  z.object({
    owner: z.string(),
    pool: z.string(),
    interface: z.string(),
    address: z.string(),
    mac: z.string(),
    state: z.string(),
    since: z.string(),
  }),
);
function leaseColumns(nowMs: number): readonly Column<z.output<typeof leases>[number]>[] {
  return [
    { title: 'OWNER', cell: ({ owner }) => owner },
    { title: 'POOL', cell: ({ pool }) => pool },
    { title: 'INTERFACE', cell: (lease) => lease.interface, dispensable: 2 },
    { title: 'ADDRESS', cell: ({ address }) => address },
    { title: 'MAC', cell: ({ mac }) => mac, dispensable: 3 },
    { title: 'STATE', cell: ({ state }) => state },
    { title: 'SINCE', cell: ({ since }) => elapsed(since, nowMs), align: 'right', dispensable: 1 },
  ];
}

const pools = z.array(
  z.object({
    name: z.string(),
    bridge: z.string(),
    subnet: z.string(),
    gateway: z.string(),
    nat: z.boolean(),
    size: z.number(),
    leased: z.number(),
  }),
);
const poolColumns: readonly Column<z.output<typeof pools>[number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'BRIDGE', cell: ({ bridge }) => bridge },
  { title: 'SUBNET', cell: ({ subnet }) => subnet },
  { title: 'GATEWAY', cell: ({ gateway }) => gateway, dispensable: 1 },
  { title: 'NAT', cell: ({ nat }) => (nat ? 'yes' : 'no') },
  {
    title: 'LEASED',
    cell: ({ leased, size }) => ({ text: `${leased}/${size}`, tone: leased >= size ? 'bad' : 'plain' }),
    align: 'right',
  },
];

const health = z.object({
  status: z.string(),
  reasons: z.array(z.object({ code: z.string(), subject: z.string(), message: z.string() })),
});
type Reason = z.output<typeof health>['reasons'][number];
const reasonColumns: readonly Column<Reason>[] = [
  { title: 'SUBJECT', cell: ({ subject }) => subject },
  { title: 'REASON', cell: ({ code }) => code },
  { title: 'WHAT IT MEANS', cell: ({ message }) => message },
];

function renderHealth(value: unknown, style: TableStyle): string | undefined {
  const parsed = health.safeParse(value);
  if (!parsed.success) return undefined;
  const { status, reasons } = parsed.data;
  const head = `${paint({ text: status, tone: status === 'ok' ? 'good' : 'bad' }, style.colour)}\n`;
  return reasons.length === 0 ? head : head + renderTable(reasonColumns, reasons, style);
}

const pairs = z.record(z.string(), z.unknown());
const pairColumns: readonly Column<readonly [string, unknown]>[] = [
  { title: 'KEY', cell: ([key]) => key },
  { title: 'VALUE', cell: ([, value]) => textOf(value) },
];

function textOf(value: unknown): string {
  if (value === null) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function renderPairs(value: unknown, style: TableStyle, none: string): string | undefined {
  const parsed = pairs.safeParse(value);
  if (!parsed.success) return undefined;
  const rows = Object.entries(parsed.data);
  return rows.length === 0 ? `${none}\n` : renderTable(pairColumns, rows, style);
}

const settings = z.array(z.object({ key: z.string(), value: z.string(), modified: z.string() }));
/** The API's word for a key that is not set. */
const UNSET = '(null)';
const settingColumns: readonly Column<z.output<typeof settings>[number]>[] = [
  { title: 'KEY', cell: ({ key }) => key },
  { title: 'VALUE', cell: ({ value }) => (value === UNSET ? '-' : value) },
  { title: 'FROM', cell: ({ modified }) => modified },
];

const daemons = z.array(z.object({ name: z.string(), pid: z.number(), respawn: z.boolean() }));
const daemonColumns: readonly Column<z.output<typeof daemons>[number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'PID', cell: ({ pid }) => (pid === 0 ? '-' : String(pid)), align: 'right' },
  { title: 'RESPAWN', cell: ({ respawn }) => (respawn ? 'yes' : 'no') },
];

const steps = z.array(
  z.object({
    name: z.string(),
    date: z.string(),
    commitmsg: z.string(),
    progress: z.object({ status: z.string(), 'status-msg': z.string() }),
  }),
);
function stepColumns(nowMs: number): readonly Column<z.output<typeof steps>[number]>[] {
  return [
    { title: 'NAME', cell: ({ name }) => name },
    { title: 'STATUS', cell: ({ progress }) => ({ text: progress.status, tone: stepTone(progress.status) }) },
    { title: 'WHAT IT MEANS', cell: ({ progress }) => progress['status-msg'], dispensable: 2 },
    { title: 'AGE', cell: ({ date }) => elapsed(date, nowMs), align: 'right' },
    { title: 'MESSAGE', cell: ({ commitmsg }) => commitmsg, dispensable: 1 },
  ];
}

function stepTone(status: string): Tone {
  if (status === 'DONE' || status === 'UPDATED') return 'good';
  return status === 'ERROR' || status === 'WONTGO' ? 'bad' : 'wait';
}

const objects = z.array(z.object({ sha256: z.string(), size: z.string() }));
const objectColumns: readonly Column<z.output<typeof objects>[number]>[] = [
  { title: 'SHA256', cell: ({ sha256 }) => sha256 },
  { title: 'BYTES', cell: ({ size }) => size, align: 'right' },
];

const drivers = z.array(z.object({ name: z.string(), type: z.string(), status: z.string() }));
const driverColumns: readonly Column<z.output<typeof drivers>[number]>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'TYPE', cell: ({ type }) => type },
  { title: 'STATUS', cell: ({ status }) => ({ text: status, tone: status === 'UNKNOWN' ? 'bad' : 'plain' }) },
];

const linkColumns: readonly Column<unknown>[] = [{ title: 'LINK', cell: (link) => JSON.stringify(link) }];
