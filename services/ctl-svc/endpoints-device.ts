// The endpoints about the device and Berth itself, as data.
import { dirname } from 'node:path';
import process from 'node:process';
import * as z from 'zod/mini';
import manifest from '../../package.json' with { type: 'json' };
import { buildName } from '../../shared/config/build-name.ts';
import { controlDaemon, daemonBody, daemonProblem, daemonRow, listDaemons } from './daemons.ts';
import { type Endpoint, endpoint, endpointWithBody } from './endpoint.ts';
import { json, type Reply, TEXT_TYPE } from './reply.ts';

function buildInfo(): Reply {
  const build = buildName(dirname(process.argv[2] ?? ''), manifest.version);
  const lines = [
    `berth ${manifest.version}`,
    ...(build === undefined ? [] : [`build ${build}`]),
    `node ${process.version}`,
  ];
  return { kind: 'text', text: lines.map((line) => `${line}\n`).join('') };
}

export const DEVICE_ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    {
      method: 'GET',
      path: '/daemons',
      answer: z.array(daemonRow),
      summary: 'the same processes in the shape of Pantavisor’s clients',
    },
    listDaemons,
  ),
  endpointWithBody(
    { method: 'PUT', path: '/daemons/{name}', summary: 'starts or stops one of them', errors: [404, 409] },
    { schema: daemonBody, problemText: daemonProblem },
    controlDaemon,
  ),
  endpoint(
    { method: 'GET', path: '/buildinfo', contentType: TEXT_TYPE, summary: 'versions of Berth and Node' },
    buildInfo,
  ),
  // Service links between containers: there are none in this build.
  endpoint(
    {
      method: 'GET',
      path: '/xconnect-graph',
      answer: z.array(z.unknown()),
      summary: 'service links between containers: there are none',
    },
    () => json([]),
  ),
];
