// HTTP on listening sockets: the socket is the identity, and nobody's clients use up what others need. One server of Node's for all of them, which
// listens nowhere itself: each takes 4 KB.
import { Buffer } from 'node:buffer';
import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createListener, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatch, Incoming } from './dispatch.ts';
import type { Caller } from './endpoint.ts';
import type { AskForStep, TurnLimits } from './fair-turns.ts';
import type { Figures } from './figures.ts';
import { readFirstBytes } from './first-bytes.ts';
import { IncomingBody } from './incoming-body.ts';
import { dropReply, type Reply, rawReply, tryLater, writeReply } from './reply.ts';
import { saysLength } from './request-body.ts';
import { createGates } from './request-gate.ts';
import { createUploadTurns, type UploadTurns } from './upload-turns.ts';

const MAX_HEADER_BYTES = 16 * 1024;
/** Milliseconds for the head of a request, also from connecting to its first byte: ends slow and silent clients. */
const HEADERS_TIMEOUT_MS = 5_000;
/** Milliseconds between two looks for heads that are late: there are some also while nobody is connected. */
const LATE_HEADS_MS = 5_000;
/** Milliseconds without any traffic, while it is the client's turn: ends those that do not read their answer. */
const IDLE_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 5_000;

export interface ServerLimits {
  readonly maxConnections: number;
  /** Requests that wait for an answer at one time; the next one is told to come back, and its connection ends. */
  readonly maxInFlight: number;
  /** Requests in one turn of the event loop, where no others share it. The same for those beyond. */
  readonly maxInTurn: number;
  /** Uploads under way at a time, beside these; the next ones wait for their turn, as clients of Pantavisor's do not wait for an answer. */
  readonly maxUploads: number;
  /** Milliseconds that an upload may stand still. */
  readonly stallMs: number;
}

const STALL_MS = 30_000;
/** Milliseconds that an upload waits for its turn: those before it may be as long as they like, if they do not stand still. */
const UPLOAD_PATIENCE_MS = 60_000;
export const HOST_LIMITS: ServerLimits = {
  maxConnections: 1_024,
  maxInFlight: 128,
  maxInTurn: 1_024,
  maxUploads: 32,
  stallMs: STALL_MS,
};
/** A container that floods its socket fills neither our tables nor the queue of the service behind us. */
export const CONTAINER_LIMITS: ServerLimits = {
  maxConnections: 64,
  maxInFlight: 8,
  maxInTurn: 64,
  maxUploads: 4,
  stallMs: STALL_MS,
};
/** Of all containers together: what state-svc takes at a time (64), without the host's. */
const MAX_UPLOADS_OF_CONTAINERS = 32;
/**
 * Pieces of requests, of all containers together: a few in a turn of the event loop are what a request of the host waits for, and so
 * many a second are about a fifth of a core.
 */
export const CONTAINER_TURNS: TurnLimits = { perTurn: 4, perSecond: 2_000, burst: 500 };

const TOO_MANY = tryLater('Too many requests of this socket are waiting for an answer; try again');
const TOO_MANY_UPLOADS = tryLater('Too many uploads of this socket are under way; try again');
const NOT_HTTP = 'Request is not valid HTTP/1.1';

/** Codes of errors of connections that their client has ended. */
const GONE: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE']);

/** A listening socket. There is one for each container: what it needs only with connections is kept for all together. */
export interface ControlSocket {
  readonly caller: Caller;
  /** What listens. */
  readonly server: Server;
  /** Who connects while it is false is hung up on. */
  isOpen: boolean;
}

/** A connection, as it is known by what stands for it before Node's parser. */
interface Connection {
  readonly party: Party;
  readonly socket: Socket;
  /** Requests that have no reply yet. */
  waiting: number;
  /** Whole requests that wait for their answer: nothing else may be written there. */
  due: number;
  /** Replies that have not left yet, in the order of their requests. */
  readonly unfinished: Set<ServerResponse>;
  newest: ServerResponse | undefined;
  /** It has, or is about to have, its last answer: what it sent behind that is not looked at. */
  isEnded: boolean;
}

interface Party extends ControlSocket {
  readonly limits: ServerLimits;
  readonly ask: AskForStep | undefined;
  /** Made with the first one. */
  uploads: UploadTurns | undefined;
  inFlight: number;
  inTurn: number;
}

export interface ControlServer {
  /** `ask`: its requests come one at a time of each connection, when its turn has come. */
  open(caller: Caller, limits: ServerLimits, ask?: AskForStep): ControlSocket;
  closeConnections(of: ControlSocket): void;
  /** All connections, and no new ones are served; who listens still is not ended. */
  close(): void;
}

export interface ServerOptions {
  readonly idleMs?: number;
  /** Whether its body is taken as it comes. */
  readonly isUpload?: (method: string, target: string) => boolean;
}

export function createControlServer(
  dispatch: Dispatch,
  figures: Figures,
  { idleMs = IDLE_TIMEOUT_MS, isUpload = () => false }: ServerOptions = {},
): ControlServer {
  const http = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // An upload takes as long as its client; one that stands still is idle.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: LATE_HEADS_MS,
    requireHostHeader: false,
  });
  http.timeout = idleMs;
  // From then on Node looks for late heads.
  http.emit('listening');
  const gates = createGates();
  const connections = new Map<Socket, Party>();
  const behind = new WeakMap<Duplex, Connection>();
  /**
   * What waits for its answer is taken back when its client is gone: nothing written to that one fails, while to one that only said that it sends no
   * more it does not. Not before all that it sent was read, as a client may do without its answer.
   */
  const lookForClient = (stream: Duplex): void => {
    const connection = behind.get(stream);
    if (!connection?.socket.readableEnded || !connection.socket.writable || gates.isPassingOn(stream)) return;
    if (connection.due === connection.waiting) connection.socket.write('');
  };
  const isTooMany = (party: Party): boolean => {
    const { limits } = party;
    if (party.inTurn === 0) {
      setImmediate(() => {
        party.inTurn = 0;
      });
    }
    party.inTurn += 1;
    return party.inTurn > limits.maxInTurn || party.inFlight > limits.maxInFlight;
  };

  const uploadsOfContainers = createUploadTurns({
    atATime: MAX_UPLOADS_OF_CONTAINERS,
    // As many as have a turn of their own container.
    waiting: Number.POSITIVE_INFINITY,
    patienceMs: UPLOAD_PATIENCE_MS,
  });
  const uploadInTurn = async (party: Party, answer: () => Promise<Reply>, response: ServerResponse): Promise<Reply> => {
    const { maxUploads, maxConnections } = party.limits;
    party.uploads ??= createUploadTurns({
      atATime: maxUploads,
      waiting: maxConnections,
      patienceMs: UPLOAD_PATIENCE_MS,
    });
    const gone = hangUpSignal(response);
    const act = party.caller.kind === 'host' ? answer : () => uploadsOfContainers(answer, gone);
    const reply = await party.uploads(act, gone);
    if (reply === undefined) figures.countAnswer(undefined, TOO_MANY_UPLOADS.status);
    return reply ?? TOO_MANY_UPLOADS;
  };

  const serve = async (
    request: IncomingMessage,
    response: ServerResponse,
    expects?: 'continue' | 'unknown',
  ): Promise<void> => {
    const expectsContinue = expects === 'continue';
    const { socket } = request;
    const connection = behind.get(socket);
    if (connection === undefined || connection.isEnded) return;
    const { party, unfinished } = connection;
    const { caller, limits } = party;
    if (party.ask !== undefined) gates.holdUntilAnswered(request, response);
    const body = new IncomingBody(request, {
      proceed() {
        if (expectsContinue) response.writeContinue();
      },
      onWhole() {
        connection.due += 1;
      },
      stallMs: limits.stallMs,
    });
    const incoming: Incoming = {
      method: request.method ?? '',
      target: request.url ?? '',
      hasUnknownExpectation: expects === 'unknown',
      hasUnknownLength: request.httpVersion === '1.0' && !saysLength(request),
      lastEventId: lastEventIdOf(request),
      signal: () => hangUpSignal(response),
      async readBody() {
        const read = await body.whole();
        if (Buffer.isBuffer(read)) lookForClient(socket);
        return read;
      },
      streamBody: () => body.stream(),
    };
    const isUploading = body.isUnread && isUpload(incoming.method, incoming.target);
    if (!isUploading) party.inFlight++;
    // Until its reply, silence is ours; what is read meanwhile has limits of its own.
    connection.waiting += 1;
    socket.setTimeout(0);
    unfinished.add(response);
    connection.newest = response;
    response.once('close', () => unfinished.delete(response));
    if (!body.isUnread) {
      connection.due += 1;
      lookForClient(socket);
    }
    const tooMany = isTooMany(party);
    const answer = (): Promise<Reply> => dispatch(caller, incoming);
    if (tooMany) {
      connection.isEnded = true;
      figures.countAnswer(undefined, TOO_MANY.status);
    }
    const reply = tooMany ? TOO_MANY : isUploading ? await uploadInTurn(party, answer, response) : await answer();
    if (!isUploading) party.inFlight--;
    if (body.isIgnored && !expectsContinue) await body.passOver();
    if (!body.isUnread) connection.due -= 1;
    connection.waiting -= 1;
    if (connection.waiting === 0) socket.setTimeout(idleMs);
    const isNewest = [...unfinished].at(-1) === response;
    const isLast = readsToTheEnd(request) && isNewest && !gates.hasMore(socket);
    if (isLast && reply.kind !== 'stream') connection.isEnded = true;
    // A client that is told to go away must not be read to the end of what it sends.
    const isFinal = body.isUnread || tooMany || isLast || (connection.isEnded && isNewest);
    // Not after the answer to what was no HTTP, which ended the connection.
    if (socket.writable) writeReply(response, reply, isFinal);
    else dropReply(reply);
  };

  // A client may say that no more follows and wait for its answer, as nc -N does, on which the stock client falls back without curl.
  Reflect.set(http, 'httpAllowHalfOpen', true);
  const begin = (party: Party, socket: Socket): void => {
    if (!party.isOpen) {
      socket.destroy();
      return;
    }
    connections.set(socket, party);
    socket.once('close', () => connections.delete(socket));
    const onFirst = (first: Buffer): void => {
      const stream = party.ask === undefined ? putBack(socket, first) : gates.wrap(socket, first, party.ask);
      const unfinished = new Set<ServerResponse>();
      behind.set(stream, { party, socket, waiting: 0, due: 0, unfinished, newest: undefined, isEnded: false });
      socket.on('end', () => lookForClient(stream));
      http.emit('connection', stream);
      stream.once('close', () => endUnfinished(unfinished));
    };
    readFirstBytes(socket, HEADERS_TIMEOUT_MS, onFirst, () =>
      endWith(socket, ...malformed('ERR_HTTP_REQUEST_TIMEOUT')),
    );
  };
  http.on('request', (request, response) => void serve(request, response));
  http.on('checkContinue', (request, response) => void serve(request, response, 'continue'));
  http.on('checkExpectation', (request, response) => void serve(request, response, 'unknown'));
  http.on('connect', (request: IncomingMessage) => {
    // Node has left the connection to us: it writes no more of an earlier answer, and its listeners are gone.
    const { socket } = request;
    socket.on('error', () => undefined).on('timeout', () => socket.destroy());
    const connection = behind.get(socket);
    if (connection === undefined || connection.unfinished.size > 0 || connection.isEnded) {
      socket.destroy();
      return;
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => socket.destroySoon());
    void serve(request, response);
  });
  http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const connection = behind.get(socket);
    const isGone = GONE.has(error.code) || !socket.writable;
    if (!isGone && connection !== undefined && isWholeAndUnanswered(connection.newest)) {
      // What follows a whole request takes nothing of its answer, which is the last then.
      connection.isEnded = true;
      return;
    }
    const isTaken = connection === undefined || connection.due > 0 || connection.isEnded;
    if (isGone || isTaken) {
      socket.destroy();
      return;
    }
    const [status, text] = malformed(error.code);
    figures.countAnswer(undefined, status);
    endWith(socket, status, text);
  });
  const closeConnections = (of?: ControlSocket): void => {
    for (const [socket, party] of connections) if (of === undefined || party === of) socket.destroy();
  };
  return {
    open(caller, limits, ask) {
      const server = createListener({ allowHalfOpen: true }, (socket) => begin(party, socket));
      server.maxConnections = limits.maxConnections;
      const party: Party = { caller, server, isOpen: true, limits, ask, uploads: undefined, inFlight: 0, inTurn: 0 };
      return party;
    },
    closeConnections,
    close() {
      http.close();
      closeConnections();
    },
  };
}

function isWholeAndUnanswered(response: ServerResponse | undefined): boolean {
  return response?.req.complete === true && !response.headersSent;
}

/** Of the end of their connection not every Node tells those that wait behind another one. */
function endUnfinished(responses: Iterable<ServerResponse>): void {
  for (const response of responses) {
    if (response.socket === null) response.destroy().emit('close');
  }
}

/**
 * Who neither names itself nor says what becomes of the connection is a client that somebody wrote by hand, as Pantavisor's pvtx: it goes on
 * reading until the connection ends.
 */
function readsToTheEnd({ headers }: IncomingMessage): boolean {
  return headers.connection === undefined && headers['user-agent'] === undefined;
}

function putBack(socket: Socket, first: Buffer): Socket {
  socket.unshift(first);
  return socket;
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
