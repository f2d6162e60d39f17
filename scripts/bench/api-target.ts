// What the bench of the API runs as processes of their own: ctl-svc with fake services, Node's bare HTTP server, and a container that floods.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import process from 'node:process';
import { newWorld } from '../../test/ctl-svc/fake-peers.ts';
import { startRig } from '../../test/ctl-svc/rig.ts';
import { containerRow } from '../../test/ctl-svc/rows.ts';

const CONTAINERS = 20;
const FLOODED_CONNECTIONS = 64;
const PIPELINED = 5_000;

/**
 * `bare SOCKET FILE` answers the bytes of a file to everything; `ctl` says the path of its host socket, beside which is `app-0`;
 * `flood SOCKET` sends as many requests as that takes.
 */
const [mode, socket = '', file = ''] = process.argv.slice(2);
if (mode === 'bare') {
  const body = readFileSync(file);
  const headers = ['Content-Length', String(body.length), 'Content-Type', 'application/json'];
  createServer((_, response) => response.writeHead(200, headers).end(body)).listen(
    { path: socket, backlog: 1_024 },
    () => process.send?.(socket),
  );
} else if (mode === 'flood') {
  const requests = 'GET /containers HTTP/1.1\r\nConnection: keep-alive\r\n\r\n'.repeat(PIPELINED);
  const flood = (): void => {
    const client = connect(socket);
    const send = (): void => {
      while (client.write(requests));
    };
    client.on('connect', send).on('drain', send).resume();
    client.on('error', () => undefined).on('close', () => setImmediate(flood));
  };
  for (let index = 0; index < FLOODED_CONNECTIONS; index += 1) flood();
  process.send?.(socket);
} else {
  const world = newWorld();
  world.containers = Array.from({ length: CONTAINERS }, (_, index) => containerRow(`app-${index}`));
  const rig = await startRig(['app-0'], world);
  process.on('SIGTERM', () => {
    rig.stop();
    process.exit(0);
  });
  process.send?.(rig.host);
}
