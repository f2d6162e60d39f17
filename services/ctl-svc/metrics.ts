// GET /metrics: what ctl-svc knows and counts, and what the others say when asked. One that says nothing costs its part only.
import process from 'node:process';
import manifest from '../../package.json' with { type: 'json' };
import { Fault } from '../../shared/ipc/fault.ts';
import { STATUSES } from '../../shared/schema/api.ts';
import type { Handler } from './endpoint.ts';
import type { Figures } from './figures.ts';
import { type Family, METRICS_TYPE, metricsText, type Sample } from './metrics-text.ts';
import type { Rows } from './view.ts';

/** Milliseconds; Prometheus gives a scrape ten seconds, other scrapers less. */
const ASK_DEADLINE_MS = 1_500;

export const getMetrics: Handler<undefined> = async ({ signal }, sources) => {
  const { view, peers, figures, events } = sources;
  const options = { deadlineMs: ASK_DEADLINE_MS, signal: signal() };
  const [rows, services, pools] = await Promise.all([
    view.rows(),
    known(peers.supervisor.listServices({}, options)),
    known(peers.ipam.listPools({}, options)),
  ]);
  const families = [
    gauge('build_info', 'Version of Berth and of Node', [
      { labels: { version: manifest.version, node: process.version }, value: 1 },
    ]),
    gauge('source_up', 'Whether the service that a part of these metrics comes from has answered', [
      { labels: { service: 'state-svc' }, value: rows === undefined ? 0 : 1 },
      { labels: { service: 'supervisor' }, value: services === undefined ? 0 : 1 },
      { labels: { service: 'ipam-svc' }, value: pools === undefined ? 0 : 1 },
    ]),
    ...containerFamilies(rows),
    ...poolFamilies(pools?.pools ?? []),
    ...serviceFamilies(services?.services ?? []),
    ...ownFamilies(figures, events.counts),
  ];
  return { kind: 'text', text: metricsText(families), contentType: METRICS_TYPE };
};

async function known<T>(
  answer: Promise<{ readonly ok: true; readonly value: T } | { readonly ok: false }>,
): Promise<T | undefined> {
  try {
    const given = await answer;
    return given.ok ? given.value : undefined;
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `berth_${name}`, type: 'gauge', help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `berth_${name}_total`, type: 'counter', help, samples };
}

function containerFamilies(rows: Rows | undefined): readonly Family[] {
  if (rows === undefined) return [];
  const containers = [...rows.containers.values()];
  const having = (status: string): number => containers.filter((row) => row.status === status).length;
  return [
    gauge(
      'containers',
      'Containers of the running revision by status',
      STATUSES.map((status) => ({ labels: { status }, value: having(status) })),
    ),
    counter(
      'container_restarts',
      'Starts of a container after its first, since the tree came up',
      containers.map(({ name, restarts }) => ({ labels: { container: name }, value: restarts })),
    ),
  ];
}

interface PoolRow {
  readonly name: string;
  readonly size: number;
  readonly leased: number;
}

function poolFamilies(pools: readonly PoolRow[]): readonly Family[] {
  const each = (value: (pool: PoolRow) => number): Sample[] =>
    pools.map((pool) => ({ labels: { pool: pool.name }, value: value(pool) }));
  return [
    gauge(
      'pool_addresses',
      'Addresses that a pool has for containers',
      each(({ size }) => size),
    ),
    gauge(
      'pool_leases',
      'Addresses of a pool that containers hold',
      each(({ leased }) => leased),
    ),
  ];
}

interface ServiceRow {
  readonly name: string;
  readonly state: string;
  readonly restarts: number;
  readonly uptime_seconds: number;
  readonly memory_bytes: number;
  readonly queue_depth: number;
}

function serviceFamilies(services: readonly ServiceRow[]): readonly Family[] {
  const each = (value: (service: ServiceRow) => number): Sample[] =>
    services.map((service) => ({ labels: { service: service.name }, value: value(service) }));
  return [
    gauge(
      'service_up',
      'Whether a service of Berth is ready',
      each(({ state }) => (state === 'ready' ? 1 : 0)),
    ),
    counter(
      'service_restarts',
      'Restarts of a service since the tree came up',
      each(({ restarts }) => restarts),
    ),
    gauge(
      'service_uptime_seconds',
      'How long a service has been up',
      each((service) => service.uptime_seconds),
    ),
    gauge(
      'service_memory_bytes',
      'Proportional set size of a service',
      each((service) => service.memory_bytes),
    ),
    gauge(
      'service_queue_depth',
      'Requests that wait for a service or are with it',
      each((service) => service.queue_depth),
    ),
  ];
}

function ownFamilies(figures: Figures, eventCounts: ReadonlyMap<string, number>): readonly Family[] {
  return [
    counter(
      'http_requests',
      'Answers on the control sockets by endpoint and status code; no endpoint: what reached none',
      figures.answers().map(({ endpoint, status, count }) => ({
        labels: { method: endpoint?.method ?? '', path: endpoint?.path ?? '', code: String(status) },
        value: count,
      })),
    ),
    counter(
      'events',
      'Events told on /events by type',
      [...eventCounts].map(([type, value]) => ({ labels: { type }, value })),
    ),
    counter('upload_bytes', 'Bytes of objects and steps that clients have sent', [{ value: figures.uploadedBytes }]),
  ];
}
