// Every endpoint of the control sockets, as data.
import * as z from 'zod/mini';
import { containerAction, containerRow, groupRow } from '../../shared/schema/api.ts';
import { healthReason } from '../../shared/schema/health.ts';
import { ipamContract } from '../ipam-svc/contract.ts';
import { supervisorContract } from '../supervisor/contract.ts';
import { type BodyProblem, type Endpoint, endpoint, endpointWithBody } from './endpoint.ts';
import { CONFIG_ENDPOINTS } from './endpoints-config.ts';
import { DEVICE_ENDPOINTS } from './endpoints-device.ts';
import { DRIVER_ENDPOINTS } from './endpoints-drivers.ts';
import { METADATA_ENDPOINTS } from './endpoints-metadata.ts';
import { STEP_ENDPOINTS } from './endpoints-steps.ts';
import * as handlers from './handlers.ts';
import { leaseRow } from './leases.ts';
import { getMetrics } from './metrics.ts';
import { METRICS_TYPE } from './metrics-text.ts';
import { jsonBytes } from './reply.ts';

const actionBody = z.object({ action: containerAction });
const ACTION_EXPECTED = 'expected {"action":"start"}, "stop" or "restart"';

function actionProblem(problem: BodyProblem): string {
  switch (problem.kind) {
    case 'empty':
      return `Request has no data: ${ACTION_EXPECTED}`;
    case 'notJson':
      return `Request has invalid JSON: ${ACTION_EXPECTED}`;
    case 'shape': {
      const given = z.object({ action: z.string() }).safeParse(problem.value);
      if (!given.success) return `Request has no action: ${ACTION_EXPECTED}`;
      return `Action '${given.data.action.slice(0, 64)}' is unknown: ${ACTION_EXPECTED}`;
    }
  }
}

const healthAnswer = z.strictObject({ status: z.enum(['ok', 'degraded']), reasons: z.array(healthReason) });
const shownContainer = z.strictObject({
  ...containerRow.shape,
  /** The file of its network namespace; null when it has none of ours. */
  netns: z.nullable(z.string()),
  /** As the machine sees them; null when nobody says. */
  mounts: z.nullable(z.array(z.strictObject({ target: z.string(), type: z.string(), source: z.string() }))),
});

const signalBody = z.object({ type: z.string(), payload: z.optional(z.string()) });

const { listServices } = supervisorContract.requests;
const { listPools } = ipamContract.requests;

export const ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    {
      method: 'GET',
      path: '/containers',
      answer: z.array(containerRow),
      summary: 'containers of the running revision: status, network, exit, restarts',
    },
    handlers.listContainers,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/containers/{name}',
      answer: shownContainer,
      summary: 'one container, with its network namespace and mounts',
      errors: [404],
    },
    handlers.showContainer,
  ),
  endpointWithBody(
    { method: 'PUT', path: '/containers/{name}', summary: 'starts, stops or restarts a container', errors: [404] },
    { schema: actionBody, problemText: actionProblem },
    handlers.controlContainer,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/groups',
      answer: z.array(groupRow),
      summary: 'groups in start order, with goal and status',
    },
    handlers.listGroups,
  ),
  endpointWithBody(
    { access: 'everyone', method: 'POST', path: '/signal', summary: 'the calling container is ready' },
    { schema: signalBody, problemText: () => 'Signal has bad format' },
    handlers.signal,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/services',
      answer: listServices.result.shape.services,
      summary: 'Berth’s own processes: pid, user, capabilities, restarts, memory',
    },
    handlers.listServices,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/events',
      contentType: 'text/event-stream',
      summary:
        'server-sent events: container, group, revision, update, lease, network, metadata, service; resumed with `Last-Event-ID`',
    },
    handlers.streamEvents,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/ipam/leases',
      answer: z.array(leaseRow),
      summary: 'leases of all pools: owner, address, MAC, state, since when',
    },
    handlers.listLeases,
  ),
  endpoint(
    {
      method: 'DELETE',
      path: '/ipam/leases/{pool}/{container}',
      summary: 'gives back what a stopped container has in a pool',
      errors: [404, 409],
    },
    handlers.deleteLeases,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/ipam/pools',
      answer: listPools.result.shape.pools,
      summary: 'pools, with how many addresses they have and how many are held',
    },
    handlers.listPools,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/health',
      answer: healthAnswer,
      alsoAt: 503,
      summary: '200 when all is well, or 503; with the reasons',
    },
    handlers.health,
  ),
  endpoint(
    { method: 'GET', path: '/metrics', contentType: METRICS_TYPE, summary: 'figures for Prometheus' },
    getMetrics,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/openapi.json',
      answer: z.record(z.string(), z.unknown()),
      summary: 'this API as an OpenAPI 3.1 document',
    },
    // Not loaded before somebody asks.
    async () => jsonBytes((await import('./openapi.ts')).openApiBytes(ENDPOINTS)),
  ),
  ...METADATA_ENDPOINTS,
  ...CONFIG_ENDPOINTS,
  ...STEP_ENDPOINTS,
  ...DEVICE_ENDPOINTS,
  ...DRIVER_ENDPOINTS,
];
