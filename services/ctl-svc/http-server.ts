// One HTTP server per listening socket: the socket is the identity, and nobody's clients use up what others need.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { bodyStream } from './body-stream.ts';
import type { Dispatch, Incoming } from './dispatch.ts';
import type { Caller } from './endpoint.ts';
import type { AskForStep, TurnLimits } from './fair-turns.ts';
import type { Figures } from './figures.ts';
import { readFirstBytes } from './first-bytes.ts';
import { errorBody, type Reply, rawReply, refuse, tryLater, writeReply } from './reply.ts';
import { hasBody, readBody } from './request-body.ts';
import { createGates } from './request-gate.ts';

/** Bytes of a JSON body: a state-changing request has some tens, the limit of a message between services is 64 KiB. */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
/** Milliseconds for the head of a request, also from connecting to its first byte: ends slow and silent clients. */
const HEADERS_TIMEOUT_MS = 5_000;
/** Milliseconds for a body that is read into memory. */
const BODY_TIMEOUT_MS = 30_000;
/** Of a body that is too large: a client that is still sending when its connection ends may never read why. */
const MAX_DISCARDED_BYTES = 1024 * 1024;
/** Milliseconds for a body that nobody wants. */
const IGNORED_BODY_MS = 1_000;
/** Milliseconds without any traffic: ends clients that do not read their answer. */
const IDLE_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 5_000;

export interface ServerLimits {
  readonly maxConnections: number;
  /** Requests that wait for an answer at one time; the next one is told to come back, and its connection ends. */
  readonly maxInFlight: number;
  /** Requests in one turn of the event loop, where no others share it. The same for those beyond. */
  readonly maxInTurn: number;
  /** Milliseconds that an upload may stand still. */
  readonly stallMs: number;
  /** Milliseconds between two looks for heads that are late: there are some also while nobody is connected, and each wakes the process. */
  readonly lateHeadsMs: number;
}

const STALL_MS = 30_000;
export const HOST_LIMITS: ServerLimits = {
  maxConnections: 1_024,
  maxInFlight: 128,
  maxInTurn: 1_024,
  stallMs: STALL_MS,
  lateHeadsMs: 5_000,
};
/**
 * A container that floods its socket fills neither our tables nor the queue of the service behind us. Who keeps a connection for a head that
 * does not come keeps it from nobody but itself.
 */
export const CONTAINER_LIMITS: ServerLimits = {
  maxConnections: 64,
  maxInFlight: 8,
  maxInTurn: 64,
  stallMs: STALL_MS,
  lateHeadsMs: 30_000,
};
/**
 * Pieces of requests, of all containers together: a few in a turn of the event loop are what a request of the host waits for, and so
 * many a second are about a fifth of a core.
 */
export const CONTAINER_TURNS: TurnLimits = { perTurn: 4, perSecond: 2_000, burst: 500 };

const TOO_LARGE = refuse(413, `Request body is larger than ${MAX_BODY_BYTES} bytes`);
const TOO_LATE = refuse(408, 'Request did not arrive in time');
const TOO_MANY = tryLater('Too many requests of this socket are waiting for an answer; try again');
const NOT_HTTP = 'Request is not valid HTTP/1.1';

/** Codes of errors of connections that their client has ended. */
const GONE: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE']);

export interface ControlServer {
  readonly server: Server;
  closeConnections(): void;
}

/** `ask`: its requests come one at a time of each connection, when its turn has come. */
export function createControlServer(
  caller: Caller,
  limits: ServerLimits,
  dispatch: Dispatch,
  figures: Figures,
  ask?: AskForStep,
): ControlServer {
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // An upload takes as long as its client; one that stands still is idle.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: limits.lateHeadsMs,
    requireHostHeader: false,
  });
  const gates = ask === undefined ? undefined : createGates(ask);
  const silent = readFirstBytes(
    server,
    HEADERS_TIMEOUT_MS,
    (socket) => endWith(socket, ...malformed('ERR_HTTP_REQUEST_TIMEOUT')),
    gates?.wrap,
  );
  server.maxConnections = limits.maxConnections;
  server.timeout = IDLE_TIMEOUT_MS;
  /** Whole requests of a connection that wait for their answer: nothing else may be written there. */
  const due = new Map<Duplex, number>();
  /** They were told to come back: what they sent behind that is not looked at. */
  const ended = new WeakSet<Duplex>();
  let inFlight = 0;
  let inTurn = 0;
  const isTooMany = (): boolean => {
    if (inTurn === 0) {
      setImmediate(() => {
        inTurn = 0;
      });
    }
    inTurn += 1;
    return inTurn > limits.maxInTurn || inFlight > limits.maxInFlight;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> => {
    const { socket } = request;
    if (ended.has(socket)) return;
    gates?.holdUntilAnswered(request, response);
    const whole = (by: 1 | -1): void => {
      const count = (due.get(socket) ?? 0) + by;
      if (count === 0) due.delete(socket);
      else due.set(socket, count);
    };
    // A client that is told to go away must not be read to the end of what it sends.
    let unread = hasBody(request);
    const proceed = (): void => {
      if (expectsContinue) response.writeContinue();
    };
    const onWhole = (): void => {
      if (unread) whole(1);
      unread = false;
    };
    /** Nobody wanted the body: the rights or the path were wrong, or the endpoint takes none. */
    let isIgnored = true;
    const take = async (): Promise<Buffer | Reply> => {
      isIgnored = false;
      const stream = bodyStream(request, { proceed, onWhole, stallMs: limits.stallMs });
      const isAnnounced = (stream.announcedBytes ?? 0) > MAX_BODY_BYTES;
      if (!isAnnounced) proceed();
      const body = await readBody(request, { maxBytes: MAX_BODY_BYTES, timeoutMs: BODY_TIMEOUT_MS });
      if (body.kind === 'late') return TOO_LATE;
      if (body.kind !== 'whole') {
        await stream.discard(MAX_DISCARDED_BYTES);
        return TOO_LARGE;
      }
      onWhole();
      return body.bytes;
    };
    const incoming: Incoming = {
      method: request.method ?? '',
      target: request.url ?? '',
      lastEventId: lastEventIdOf(request),
      signal: () => hangUpSignal(response),
      readBody: take,
      streamBody() {
        isIgnored = false;
        return bodyStream(request, { proceed, onWhole, stallMs: limits.stallMs });
      },
    };
    inFlight++;
    if (!unread) whole(1);
    const tooMany = isTooMany();
    if (tooMany) {
      ended.add(socket);
      figures.countAnswer(undefined, TOO_MANY.status);
    }
    const reply = tooMany ? TOO_MANY : await dispatch(caller, incoming);
    inFlight--;
    // A client that is still sending when its connection ends may never read why.
    if (unread && isIgnored && !expectsContinue) {
      const rest = await readBody(request, { maxBytes: MAX_BODY_BYTES, timeoutMs: IGNORED_BODY_MS });
      if (rest.kind === 'whole') onWhole();
    }
    if (!unread) whole(-1);
    // Not after the answer to what was no HTTP, which ended the connection.
    if (socket.writable) writeReply(response, reply, unread || tooMany);
  };

  // A client may say that no more follows and wait for its answer, as nc -N does, on which the stock client falls back without curl.
  Reflect.set(server, 'httpAllowHalfOpen', true);
  server.on('connection', (socket) => {
    // Nothing written to one that has gone altogether fails; to one that only said so it does not.
    socket.on('end', () => {
      if (socket.writable) socket.write('');
    });
  });
  server.on('request', (request, response) => void serve(request, response, false));
  server.on('checkContinue', (request, response) => void serve(request, response, true));
  server.on('checkExpectation', (_request, response) => {
    response.writeHead(417, { 'Content-Type': 'application/json', Connection: 'close' });
    response.end(errorBody('Expectation not supported'));
  });
  server.on('connect', (_request, socket) => endWith(socket, 400, 'Method not supported for this endpoint'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (GONE.has(error.code) || !socket.writable || due.has(socket) || ended.has(socket)) {
      socket.destroy();
      return;
    }
    const [status, text] = malformed(error.code);
    figures.countAnswer(undefined, status);
    endWith(socket, status, text);
  });
  return {
    server,
    closeConnections() {
      silent.closeAll();
      server.closeAllConnections();
    },
  };
}

function malformed(code: string | undefined): [status: number, text: string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, `Request header is larger than ${MAX_HEADER_BYTES} bytes`];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'Request did not arrive in time'];
  return [400, NOT_HTTP];
}

function endWith(socket: Duplex, status: number, text: string): void {
  socket.on('error', () => undefined);
  socket.end(rawReply(status, text), () => socket.destroy());
}

function lastEventIdOf({ headers }: IncomingMessage): string | undefined {
  const value = headers['last-event-id'];
  return typeof value === 'string' ? value : undefined;
}

function hangUpSignal(response: ServerResponse): AbortSignal {
  const abort = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) abort.abort();
  });
  return abort.signal;
}
