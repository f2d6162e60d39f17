// HTTP over the pv-ctrl socket: finds it, sends one request, gives back status and body.
import { Buffer } from 'node:buffer';
import { statSync } from 'node:fs';
import { request } from 'node:http';

/** Where a socket is looked for, in this order: on the host twice, then inside a container. */
export const DEFAULT_SOCKETS = ['/run/pantavisor/pv/pv-ctrl', '/pv/pv-ctrl', '/pantavisor/pv-ctrl'] as const;

/** Milliseconds until a silent server is given up: more than it may take itself, which is 10 s at most for what has no name here. */
const PATIENCE_MS = { usual: 15_000, drivers: 40_000, garbage: 70_000 } as const;

export type Patience = keyof typeof PATIENCE_MS;

/** sun_path of unix(7) without its NUL. Node would cut a longer one off and connect elsewhere. */
const MAX_PATH_BYTES = 107;

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** What is wrong with what was sent, one thing each. */
  readonly problems?: readonly string[];
}

/** The request got no answer. `message` names the socket and the way out. */
export class NoAnswer extends Error {}

/** Nor can one come: there is no socket. */
export class NoSocket extends NoAnswer {}

/** `asked`: the path given with -s. Throws NoAnswer when there is none. */
export function findSocket(asked: string | undefined): string {
  if (asked !== undefined) {
    if (Buffer.byteLength(asked) <= MAX_PATH_BYTES) return asked;
    throw new NoSocket(`${asked}: longer than the ${MAX_PATH_BYTES} bytes a socket's path may have`);
  }
  const found = DEFAULT_SOCKETS.find(isSocket);
  if (found !== undefined) return found;
  throw new NoSocket(
    `no pv-ctrl socket: looked for ${DEFAULT_SOCKETS.join(', ')}. Is Berth running? Name its socket with -s PATH`,
  );
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    return false;
  }
}

/** `body`: a text is sent as it is, an object as JSON. Rejects with NoAnswer. */
export function ask(
  socket: string,
  method: string,
  path: string,
  body?: string | object,
  patience: Patience = 'usual',
): Promise<Answer> {
  const patienceMs = PATIENCE_MS[patience];
  const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const type = typeof body === 'string' ? 'text/plain' : 'application/json';
  return new Promise((resolve, reject) => {
    const headers = bytes === undefined ? {} : { 'Content-Type': type, 'Content-Length': String(bytes.length) };
    const outgoing = request({ socketPath: socket, method, path, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', (error) => reject(explain(socket, error)));
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    outgoing.setTimeout(patienceMs, () =>
      outgoing.destroy(new NoAnswer(`${socket}: no answer within ${patienceMs / 1000} s`)),
    );
    outgoing.on('error', (error) => reject(explain(socket, error)));
    outgoing.end(bytes);
  });
}

/** What became of a connection, in words that name the socket and the way out. */
export function explain(socket: string, error: NodeJS.ErrnoException): NoAnswer {
  if (error instanceof NoAnswer) return error;
  switch (error.code) {
    case 'ENOENT':
      return new NoSocket(`${socket}: no such socket. Is Berth running with this path as its pv-ctrl?`);
    case 'ECONNREFUSED':
      // The kernel says the same of what is no socket at all.
      return isSocket(socket)
        ? new NoAnswer(`${socket}: nobody listens there. Is Berth running?`)
        : new NoSocket(`${socket}: not a socket. -s takes the path of pv-ctrl`);
    case 'EACCES':
    case 'EPERM':
      return new NoAnswer(`${socket}: not allowed to open it. Only root may use the host's socket`);
    default:
      return new NoAnswer(`${socket}: the connection ended without an answer (${error.code ?? error.message})`);
  }
}
