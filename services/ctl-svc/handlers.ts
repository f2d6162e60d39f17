// What each endpoint does: one short function per request.
import type { Refusal } from '../../shared/ipc/contract.ts';
import { allPages } from '../../shared/ipc/page.ts';
import type { ContainerAction } from '../../shared/schema/api.ts';
import { containerName, poolName } from '../../shared/schema/names.ts';
import type { stateContract } from '../state-svc/contract.ts';
import type { Handler } from './endpoint.ts';
import { sendEvents } from './event-stream.ts';
import { collectReasons } from './health.ts';
import { listAllLeases } from './leases.ts';
import type { Peers } from './peers.ts';
import { DONE, json, jsonBytes, NO_VIEW, type Reply, refuse } from './reply.ts';

const NOT_FOUND = refuse(404, 'Container not found');
const UNEXPECTED_SIGNAL = refuse(500, 'Signal not expected from this platform');

export const listContainers: Handler<undefined> = async (_request, { view }) => {
  const bytes = await view.containersJson();
  return bytes === undefined ? NO_VIEW : jsonBytes(bytes);
};

/** Its row, and what only lxc-svc and net-svc know; null where one of them does not say. */
export const showContainer: Handler<undefined> = async ({ params, signal }, { view, peers }) => {
  const rows = await view.rows();
  if (rows === undefined) return NO_VIEW;
  const row = rows.containers.get(params.name ?? '');
  if (row === undefined) return NOT_FOUND;
  const container = row.name;
  const [mounts, netns] = await Promise.all([
    peers.lxc
      .listMounts({ container }, { signal: signal() })
      .then((answer) => (answer.ok ? answer.value.mounts : null)),
    namespaceOf(container, peers, signal()),
  ]).catch(() => [null, null]);
  return json({ ...row, netns, mounts });
};

async function namespaceOf(container: string, { net }: Peers, signal: AbortSignal): Promise<string | null> {
  const attachments = await allPages(async (after) => {
    const answer = await net.listAttachments({ after }, { signal });
    return answer.ok ? { rows: answer.value.attachments, next: answer.value.next } : { rows: [], next: undefined };
  });
  return attachments.find((each) => each.container === container)?.netns ?? null;
}

export const listGroups: Handler<undefined> = async (_request, { view }) => {
  const bytes = await view.groupsJson();
  return bytes === undefined ? NO_VIEW : jsonBytes(bytes);
};

export const controlContainer: Handler<{ readonly action: ContainerAction }> = async (request, { peers }) => {
  const name = containerName.safeParse(request.params.name);
  if (!name.success) return NOT_FOUND;
  const { action } = request.body;
  const answer = await peers.state.controlContainer({ container: name.data, action }, { signal: request.signal() });
  return answer.ok ? DONE : controlRefused(name.data, action, answer.error);
};

type ControlRefusal = Refusal<typeof stateContract, 'controlContainer'>;

function controlRefused(name: string, action: ContainerAction, error: ControlRefusal): Reply {
  switch (error.code) {
    case 'CONTAINER_NOT_FOUND':
      return NOT_FOUND;
    case 'POLICY_SYSTEM':
      return refuse(403, "Container has restart_policy 'system' and cannot be controlled via API");
    case 'NOT_ALLOWED':
      return refuse(400, `Cannot ${action} container '${name}' in status ${error.status}: ${error.reason}`);
  }
}

export const signal: Handler<{ readonly type: string }> = async ({ caller, body, signal: aborted }, { peers }) => {
  if (caller.kind === 'host') return UNEXPECTED_SIGNAL;
  if (body.type !== 'ready') return refuse(500, `Signal type '${body.type.slice(0, 64)}' is unknown: expected 'ready'`);
  const answer = await peers.state.signalReady({ container: caller.container }, { signal: aborted() });
  if (answer.ok) return DONE;
  switch (answer.error.code) {
    case 'SIGNAL_UNEXPECTED':
      return UNEXPECTED_SIGNAL;
  }
};

export const listServices: Handler<undefined> = async (request, { peers }) => {
  const answer = await peers.supervisor.listServices({}, { signal: request.signal() });
  return json(answer.ok ? answer.value.services : []);
};

export const listPools: Handler<undefined> = async (request, { peers }) => {
  const answer = await peers.ipam.listPools({}, { signal: request.signal() });
  return json(answer.ok ? answer.value.pools : []);
};

export const listLeases: Handler<undefined> = async (request, { peers }) =>
  json(await listAllLeases(peers.ipam, request.signal()));

export const deleteLeases: Handler<undefined> = async ({ params }, { peers }) => {
  const pool = poolName.safeParse(params.pool);
  const container = containerName.safeParse(params.container);
  if (!pool.success || !container.success) return noLease(params.pool, params.container);
  const answer = await peers.state.releaseLeases({ pool: pool.data, container: container.data });
  if (answer.ok) return DONE;
  const { error } = answer;
  switch (error.code) {
    case 'NO_LEASE':
      return noLease(pool.data, container.data);
    case 'NOT_STOPPED':
      return refuse(
        409,
        `Container '${container.data}' is ${error.status}: its leases are given back only while it is STOPPED; stop it first`,
      );
    case 'RELEASE_FAILED':
      return refuse(500, `Lease of '${container.data}' cannot be given back: ${error.reason}`);
  }
};

function noLease(pool = '', container = ''): Reply {
  return refuse(404, `Container '${container.slice(0, 64)}' has no lease in pool '${pool.slice(0, 64)}'`);
}

export const streamEvents: Handler<undefined> = ({ lastEventId }, { events }) => ({
  kind: 'stream',
  contentType: 'text/event-stream',
  start: (response) => sendEvents(response, events, lastEventId),
});

export const health: Handler<undefined> = async (request, { peers }) => {
  const reasons = await collectReasons(peers, request.signal());
  return reasons.length === 0 ? json({ status: 'ok', reasons }) : json({ status: 'degraded', reasons }, 503);
};
