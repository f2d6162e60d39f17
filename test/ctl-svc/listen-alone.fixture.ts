// Listens on descriptor 3, says so and what it has in memory for it, and answers one request.
import { createServer } from 'node:http';
import process from 'node:process';
import { listenAlone } from '../../services/ctl-svc/listen-alone.ts';

const server = createServer((_request, response) => {
  response.end('answered');
  server.close();
});
server.once('listening', () => {
  const loaded: unknown = Reflect.get(process, 'moduleLoadList');
  const hasCluster = Array.isArray(loaded) && loaded.includes('NativeModule cluster');
  console.log(Array.isArray(loaded), hasCluster, server.listening);
});
listenAlone(server, 3);
