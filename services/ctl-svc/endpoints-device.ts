// The endpoints about the device and Berth itself, as data.
import process from 'node:process';
import * as z from 'zod/mini';
import manifest from '../../package.json' with { type: 'json' };
import { controlDaemon, daemonBody, daemonProblem, daemonRow, listDaemons } from './daemons.ts';
import { type Endpoint, endpoint, endpointWithBody } from './endpoint.ts';
import { json, type Reply, TEXT_TYPE } from './reply.ts';

const mgmt = { access: 'mgmt' } as const;

function buildInfo(): Reply {
  return { kind: 'text', text: `berth ${manifest.version}\nnode ${process.version}\n` };
}

export const DEVICE_ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    {
      ...mgmt,
      method: 'GET',
      path: '/daemons',
      answer: z.array(daemonRow),
      summary: 'the same processes in the shape of Pantavisor’s clients',
    },
    listDaemons,
  ),
  endpointWithBody(
    {
      ...mgmt,
      method: 'PUT',
      path: '/daemons/{name}',
      answer: undefined,
      summary: 'starts or stops one of them',
      errors: [404, 409],
    },
    { schema: daemonBody, problemText: daemonProblem },
    controlDaemon,
  ),
  endpoint(
    {
      ...mgmt,
      method: 'GET',
      path: '/buildinfo',
      answer: undefined,
      contentType: TEXT_TYPE,
      summary: 'versions of Berth and Node',
    },
    buildInfo,
  ),
  // Service links between containers: there are none in this build.
  endpoint(
    {
      ...mgmt,
      method: 'GET',
      path: '/xconnect-graph',
      answer: z.array(z.unknown()),
      summary: 'service links between containers: there are none',
    },
    () => json([]),
  ),
];
