// Has a server listen on a socket that this process inherited, without the question whether it is a worker of another.
import type { Server } from 'node:net';

/**
 * As `server.listen({ fd })`, which asks node:cluster first: that brings child_process and dgram with it into memory, 170 KB and 1.3 ms of CPU, and
 * then calls what is called here. Node keeps it by this name for whoever wraps it; where there is none, it is asked the usual way.
 */
export function listenAlone(server: Server, fd: number): void {
  const own: unknown = Reflect.get(server, '_listen2');
  if (typeof own === 'function') Reflect.apply(own, server, [null, null, null, undefined, fd]);
  else server.listen({ fd });
}
