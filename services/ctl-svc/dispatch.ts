// One request from its head to its reply: rights first, then the path, then the body, then the handler.
import { Buffer } from 'node:buffer';
import { Fault } from '../../shared/ipc/fault.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { BodyStream } from './body-stream.ts';
import type { Caller, Endpoint, Sources } from './endpoint.ts';
import { type ErrorReply, NO_VIEW, type Reply, refuse, statusOf, unanswered } from './reply.ts';
import type { Route, Router } from './router.ts';
import type { ViewFeed } from './view-feed.ts';

export interface Incoming {
  readonly method: string;
  readonly target: string;
  /** Its head has an `Expect` of something that is not `100-continue`. */
  readonly hasUnknownExpectation: boolean;
  /** Its head is of HTTP/1.0 and does not say whether a body follows: before that, and without a word, one ended with its connection. */
  readonly hasUnknownLength: boolean;
  readonly lastEventId: string | undefined;
  readonly signal: () => AbortSignal;
  /** Resolves to the whole body, or to why it is not taken. Called at most once, and only for endpoints that want one. */
  readonly readBody: () => Promise<Buffer | Reply>;
  /** The same for endpoints that take it as it comes. */
  readonly streamBody: () => BodyStream;
}

export type Dispatch = (caller: Caller, incoming: Incoming) => Promise<Reply>;

const FORBIDDEN = refuse(403, 'Request not sent from a mgmt platform');
const WRONG_METHOD = refuse(400, 'Method not supported for this endpoint');
const UNKNOWN_EXPECTATION = refuse(417, 'Expectation not supported');
const UNKNOWN_LENGTH = refuse(400, 'Request has no Content-Length, without which HTTP/1.0 has no body');
const NO_BODY = Buffer.alloc(0);
/** Characters of what the log says of an answer: log-svc cuts lines of more than 16 KiB. */
const MAX_REASONS = 4_000;

export function createDispatch(router: Router, sources: Sources, log: Logger): Dispatch {
  const run = async (route: Route, caller: Caller, incoming: Incoming): Promise<Reply> => {
    const open = route.kind === 'found' && route.endpoint.access === 'everyone';
    const refusal = open ? undefined : await whyNotMgmt(caller, sources.view);
    if (refusal !== undefined) return refusal;
    if (incoming.hasUnknownExpectation) return UNKNOWN_EXPECTATION;
    switch (route.kind) {
      case 'unknownPath':
        return refuse(404, `Path '${incoming.target.slice(0, 128)}' not found`);
      case 'wrongMethod':
        return WRONG_METHOD;
      case 'found':
        return await runEndpoint(route.endpoint, route.params, caller, incoming);
    }
  };
  const runEndpoint = async (
    endpoint: Endpoint,
    params: Readonly<Record<string, string>>,
    caller: Caller,
    incoming: Incoming,
  ): Promise<Reply> => {
    const { lastEventId, signal } = incoming;
    // RFC 1945, 8.3. What it sent would be lost without a word.
    if (endpoint.takes !== 'none' && incoming.hasUnknownLength) return UNKNOWN_LENGTH;
    if (endpoint.takes === 'stream') {
      return await endpoint.run({ caller, params, body: incoming.streamBody(), lastEventId, signal }, sources);
    }
    const body = endpoint.takes === 'whole' ? await incoming.readBody() : NO_BODY;
    if (!Buffer.isBuffer(body)) return body;
    return await endpoint.run({ caller, params, body, lastEventId, signal }, sources);
  };
  const runSafely = async (route: Route, caller: Caller, incoming: Incoming): Promise<Reply> => {
    try {
      return await run(route, caller, incoming);
    } catch (error) {
      if (error instanceof Fault) return unanswered(error);
      log.error(`${incoming.method} ${incoming.target.slice(0, 128)} failed: ${stackOf(error)}`);
      return refuse(500, 'Internal error of ctl-svc; its log says more');
    }
  };
  return async (caller, incoming) => {
    const route = router(incoming.method, incoming.target);
    const reply = await runSafely(route, caller, incoming);
    // Clients show the text alone, which is the same whatever is wrong.
    if (reply.kind === 'error' && reply.problems !== undefined) log.warn(refusalText(caller, incoming, reply));
    sources.figures.countAnswer(route.kind === 'found' ? route.endpoint : undefined, statusOf(reply));
    return reply;
  };
}

/** A container may do nothing while its roles are not known, and is not told for good that it has none. */
async function whyNotMgmt(caller: Caller, view: ViewFeed): Promise<Reply | undefined> {
  if (caller.kind === 'host') return undefined;
  const rows = await view.rows();
  if (rows === undefined) return NO_VIEW;
  return rows.containers.get(caller.container)?.roles.includes('mgmt') === true ? undefined : FORBIDDEN;
}

function refusalText(caller: Caller, { method, target }: Incoming, { text, problems = [] }: ErrorReply): string {
  const who = caller.kind === 'host' ? 'the host' : caller.container;
  const reasons = problems.join('; ');
  const shown = reasons.length > MAX_REASONS ? `${reasons.slice(0, MAX_REASONS)}… and more` : reasons;
  return `${method} ${target.slice(0, 128)} of ${who}: ${text}: ${shown}`;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
