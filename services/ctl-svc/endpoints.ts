// Every endpoint of the control sockets, as data.
import * as z from 'zod/mini';
import { containerRow, groupRow } from '../../shared/schema/api.ts';
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

const ACTIONS = ['start', 'stop', 'restart'] as const;
const actionBody = z.object({ action: z.enum(ACTIONS) });
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

const signalBody = z.object({ type: z.string(), payload: z.optional(z.string()) });

export const ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    { method: 'GET', path: '/containers', access: 'mgmt', answer: z.array(containerRow) },
    handlers.listContainers,
  ),
  endpointWithBody(
    { method: 'PUT', path: '/containers/{name}', access: 'mgmt', answer: undefined },
    { schema: actionBody, problemText: actionProblem },
    handlers.controlContainer,
  ),
  endpoint({ method: 'GET', path: '/groups', access: 'mgmt', answer: z.array(groupRow) }, handlers.listGroups),
  endpointWithBody(
    { method: 'POST', path: '/signal', access: 'everyone', answer: undefined },
    { schema: signalBody, problemText: () => 'Signal has bad format' },
    handlers.signal,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/services',
      access: 'mgmt',
      answer: supervisorContract.requests.listServices.result.shape.services,
    },
    handlers.listServices,
  ),
  endpoint({ method: 'GET', path: '/events', access: 'mgmt', answer: undefined }, handlers.streamEvents),
  endpoint({ method: 'GET', path: '/ipam/leases', access: 'mgmt', answer: z.array(leaseRow) }, handlers.listLeases),
  endpoint(
    {
      method: 'GET',
      path: '/ipam/pools',
      access: 'mgmt',
      answer: ipamContract.requests.listPools.result.shape.pools,
    },
    handlers.listPools,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/health',
      access: 'mgmt',
      answer: z.strictObject({ status: z.enum(['ok', 'degraded']), reasons: z.array(healthReason) }),
    },
    handlers.health,
  ),
  ...METADATA_ENDPOINTS,
  ...CONFIG_ENDPOINTS,
  ...STEP_ENDPOINTS,
  ...DEVICE_ENDPOINTS,
  ...DRIVER_ENDPOINTS,
];
