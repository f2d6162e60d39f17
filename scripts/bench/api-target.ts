// The two servers that the bench of the API compares, each as a process of its own: ctl-svc with fake services, or Node's bare HTTP server.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import process from 'node:process';
import { newWorld } from '../../test/ctl-svc/fake-peers.ts';
import { startRig } from '../../test/ctl-svc/rig.ts';
import { containerRow } from '../../test/ctl-svc/rows.ts';

const CONTAINERS = 20;

/** `bare SOCKET FILE` answers the bytes of a file to everything; `ctl` prints the path of its host socket. */
const [mode, socket = '', file = ''] = process.argv.slice(2);
if (mode === 'bare') {
  const body = readFileSync(file);
  const headers = ['Content-Length', String(body.length), 'Content-Type', 'application/json'];
  createServer((_, response) => response.writeHead(200, headers).end(body)).listen(
    { path: socket, backlog: 1_024 },
    () => process.send?.(socket),
  );
} else {
  const world = newWorld();
  world.containers = Array.from({ length: CONTAINERS }, (_, index) => containerRow(`app-${index}`));
  const rig = await startRig([], world);
  process.on('SIGTERM', () => {
    rig.stop();
    process.exit(0);
  });
  process.send?.(rig.host);
}
