// The shape of an endpoint: declared once as data, from which routing, rights, parsing and documentation follow.
import type { Buffer } from 'node:buffer';
import { TextDecoder } from 'node:util';
import type * as z from 'zod/mini';
import type { Written } from '../../shared/config/settings.ts';
import type { Schema } from '../../shared/ipc/contract.ts';
import type { BodyStream } from './body-stream.ts';
import type { EventFeed } from './event-feed.ts';
import type { Figures } from './figures.ts';
import type { Peers } from './peers.ts';
import { type Reply, refuse } from './reply.ts';
import type { ViewFeed } from './view-feed.ts';

/** Known by the listening socket that a request came in on, never by anything it says. */
export type Caller = { readonly kind: 'host' } | { readonly kind: 'container'; readonly container: string };

/** Where answers come from. */
export interface Sources {
  readonly view: ViewFeed;
  readonly events: EventFeed;
  readonly peers: Peers;
  readonly figures: Figures;
  /** <storage>, whose objects and states are read as files. */
  readonly storage: string;
  /** What the configuration was started with. */
  readonly settings: readonly Written[];
}

export interface EndpointRequest<B> {
  readonly caller: Caller;
  /** The `{name}` parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly body: B;
  /** Of the header Last-Event-ID, as it was sent. */
  readonly lastEventId: string | undefined;
  /** Aborted when the client hangs up. Made when first asked for: most answers need none. */
  readonly signal: () => AbortSignal;
}

export type Handler<B> = (request: EndpointRequest<B>, sources: Sources) => Promise<Reply> | Reply;

/** Why a body is not what the endpoint takes; each endpoint has its own words for it. */
export type BodyProblem = { readonly kind: 'empty' | 'notJson' } | { readonly kind: 'shape'; readonly value: unknown };

export interface JsonBody<S extends Schema> {
  readonly schema: S;
  readonly problemText: (problem: BodyProblem) => string;
}

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

interface EndpointBase {
  readonly method: Method;
  /** `/containers/{name}`; a `{name}` stands for one whole part. */
  readonly path: string;
  /** Who may ask: the host and containers of role `mgmt`, unless it says that containers of no role may, too. */
  readonly access?: 'everyone';
  /** What it does, as a phrase for people. */
  readonly summary: string;
  /** Of the JSON that 200 carries; missing where it carries none. */
  readonly answer?: Schema;
  /** Of a 200 that carries something else than JSON. */
  readonly contentType?: string;
  /** The answer comes with this status, too. */
  readonly alsoAt?: number;
  /** Statuses of the errors that are its own; `errorsOf` adds those that follow from what it is. */
  readonly errors?: readonly number[];
}

interface WholeEndpoint extends EndpointBase {
  /** `none`: it is not looked at. `whole`: in memory, so it is a small one. */
  readonly takes: 'none' | 'whole';
  /** Of a JSON body; undefined where there is none, or it may be any text. */
  readonly bodySchema: Schema | undefined;
  readonly run: (request: EndpointRequest<Buffer>, sources: Sources) => Promise<Reply> | Reply;
}

interface StreamEndpoint extends EndpointBase {
  /** Bytes of any number. */
  readonly takes: 'stream';
  readonly bodySchema: undefined;
  readonly run: Handler<BodyStream>;
}

export type Endpoint = WholeEndpoint | StreamEndpoint;

/** Every status but 200 that a request which reached the endpoint may get. */
export function errorsOf({ access, takes, errors = [] }: Endpoint): readonly number[] {
  const rights = access === 'everyone' ? [] : [403];
  const body = takes === 'none' ? [] : takes === 'whole' ? [400, 408, 413] : [408];
  return [...new Set([...errors, ...rights, ...body, 500, 503])].sort((a, b) => a - b);
}

export function endpoint(base: EndpointBase, handler: Handler<undefined>): Endpoint {
  return {
    ...base,
    takes: 'none',
    bodySchema: undefined,
    run: (request, sources) => handler({ ...request, body: undefined }, sources),
  };
}

export function endpointWithBody<S extends Schema>(
  base: EndpointBase,
  body: JsonBody<S>,
  handler: Handler<z.output<S>>,
): Endpoint {
  return {
    ...base,
    takes: 'whole',
    bodySchema: body.schema,
    run(request, sources) {
      const parsed = parseJsonBody(request.body, body.schema);
      if (!parsed.ok) return refuse(400, body.problemText(parsed.problem));
      return handler({ ...request, body: parsed.value }, sources);
    },
  };
}

/** The body is the value: any text, also none. */
export function endpointWithText(base: EndpointBase, handler: Handler<string>): Endpoint {
  return {
    ...base,
    takes: 'whole',
    bodySchema: undefined,
    run(request, sources) {
      const body = textOf(request.body);
      if (body === undefined) return refuse(400, 'Request body is not text: it has to be UTF-8');
      return handler({ ...request, body }, sources);
    },
  };
}

/** The handler takes the body as it comes, or discards it. */
export function endpointWithStream(base: EndpointBase, run: Handler<BodyStream>): Endpoint {
  return { ...base, takes: 'stream', bodySchema: undefined, run };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const rawUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Buffer): string | undefined {
  try {
    return rawUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

type ParsedBody<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: BodyProblem };

export function parseJsonBody<S extends Schema>(bytes: Buffer, schema: S): ParsedBody<z.output<S>> {
  if (bytes.length === 0) return { ok: false, problem: { kind: 'empty' } };
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    return { ok: false, problem: { kind: 'notJson' } };
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? { ok: true, value: parsed.data } : { ok: false, problem: { kind: 'shape', value } };
}
