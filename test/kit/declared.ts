// Holds a live answer against GET /openapi.json, the document that clients are given.
import assert from 'node:assert/strict';
import * as z from 'zod';
import { ENDPOINTS } from '../../services/ctl-svc/endpoints.ts';
import { openApi } from '../../services/ctl-svc/openapi.ts';
import { createRouter } from '../../services/ctl-svc/router.ts';

export interface LiveAnswer {
  readonly method: string;
  /** As in the request line. */
  readonly target: string;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: string;
}

const mediaType = z.object({ schema: z.optional(z.record(z.string(), z.unknown())) });
const responses = z.record(z.string(), z.object({ content: z.optional(z.record(z.string(), mediaType)) }));
const document = z.object({ paths: z.record(z.string(), z.record(z.string(), z.object({ responses }))) });

/** As it travels. */
const { paths } = document.parse(JSON.parse(JSON.stringify(openApi(ENDPOINTS))));
const route = createRouter(ENDPOINTS);
/** `{"Error":"…"}` to the letter: nothing before, between or after. */
const ERROR = /^\{"Error":"(?:[^"\\]|\\.)+"\}$/;
/** What is answered before an endpoint is reached: no HTTP, an unknown path or method, no rights, too slow, a head too large. */
const UNROUTED = [400, 403, 404, 408, 417, 431, 503];
const schemas = new Map<object, z.ZodType>();

/** Throws where the answer is not what the document says. */
export function holdAgainstDocument({ method, target, status, contentType, body }: LiveAnswer): void {
  if (method === 'HEAD') return;
  const what = `${method} ${target} answered ${status} ${contentType ?? ''} ${body.slice(0, 500)}`;
  const found = route(method, target);
  if (found.kind !== 'found') {
    assert.ok(UNROUTED.includes(status), `${what}: nothing is there`);
    assert.match(body, ERROR, what);
    return;
  }
  const { endpoint } = found;
  const described = paths[endpoint.path]?.[method.toLowerCase()]?.responses[String(status)];
  assert.ok(described !== undefined, `${what}: no such status is declared for ${endpoint.path}`);
  const { content } = described;
  if (content === undefined) {
    assert.equal(body, '', what);
    return;
  }
  assert.ok(contentType !== undefined && content[contentType] !== undefined, `${what}: no such type is declared`);
  const schema = content[contentType].schema;
  if (status !== 200 && endpoint.alsoAt !== status) assert.match(body, ERROR, what);
  else if (schema !== undefined && status === 200) {
    const parsed = compiled(schema).safeParse(JSON.parse(body));
    assert.ok(parsed.success, `${what}: ${parsed.error === undefined ? '' : z.prettifyError(parsed.error)}`);
  }
}

function compiled(schema: Readonly<Record<string, unknown>>): z.ZodType {
  const known = schemas.get(schema);
  if (known !== undefined) return known;
  const made = z.fromJSONSchema(schema);
  schemas.set(schema, made);
  return made;
}
