// GET /openapi.json: the endpoints' declarations as an OpenAPI 3.1 document. Loaded when it is first asked for.
import { Buffer } from 'node:buffer';
import { toJSONSchema } from 'zod/mini';
import manifest from '../../package.json' with { type: 'json' };
import type { Schema } from '../../shared/ipc/contract.ts';
import { type Endpoint, errorsOf } from './endpoint.ts';
import { JSON_TYPE } from './reply.ts';

let cached: Buffer | undefined;

export function openApiBytes(endpoints: readonly Endpoint[]): Buffer {
  cached ??= Buffer.from(JSON.stringify(openApi(endpoints)));
  return cached;
}

export function openApi(endpoints: readonly Endpoint[]) {
  const paths: Record<string, Record<string, object>> = {};
  for (const each of endpoints) {
    const path = paths[each.path] ?? {};
    path[each.method.toLowerCase()] = operation(each);
    paths[each.path] = path;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Berth control API',
      version: manifest.version,
      description:
        'HTTP on the pv-ctrl sockets. Who asks is known by the socket. A query is ignored. A path that does not exist is answered 404, ' +
        'a method that it does not have 400, what is no HTTP 400, a head that is too large 431, one that comes too slowly 408.',
      license: { name: manifest.license },
    },
    servers: [{ url: 'http://localhost', description: 'over <rundir>/pv-ctrl, or /pantavisor/pv-ctrl in a container' }],
    paths,
    components: {
      schemas: {
        Error: {
          type: 'object',
          properties: { Error: { type: 'string' } },
          required: ['Error'],
          additionalProperties: false,
        },
      },
    },
  };
}

function operation(each: Endpoint): object {
  const names = [...each.path.matchAll(/\{([^}]+)\}/g)].flatMap(([, name]) => (name === undefined ? [] : [name]));
  return {
    summary: each.summary,
    ...(each.access === 'everyone' ? {} : { description: 'For the host, and for containers with role `mgmt`.' }),
    parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...requestBody(each),
    responses: Object.fromEntries([
      ['200', success(each)],
      ...errorsOf(each).map((status) => [String(status), failure(each, status)]),
    ]),
  };
}

function requestBody({ takes, bodySchema }: Endpoint): object {
  if (takes === 'none') return {};
  const content = takes === 'stream' ? ANY_BYTES : bodySchema === undefined ? ANY_TEXT : jsonContent(bodySchema);
  return { requestBody: { required: bodySchema !== undefined, content } };
}

const ANY_BYTES = { 'application/octet-stream': {} };
const ANY_TEXT = { 'text/plain': { schema: { type: 'string' } } };

function success({ answer, contentType }: Endpoint): object {
  if (answer !== undefined) return { description: 'Done', content: jsonContent(answer) };
  if (contentType === undefined) return { description: 'Done; the body is empty' };
  return { description: 'Done', content: { [contentType]: {} } };
}

function failure({ answer, alsoAt }: Endpoint, status: number): object {
  const error = { $ref: '#/components/schemas/Error' };
  const own = answer !== undefined && alsoAt === status ? [schemaOf(answer)] : [];
  return {
    description: status === 503 ? 'Not now; `Retry-After` says when' : 'Refused; `Error` says why',
    content: { [JSON_TYPE]: { schema: own.length === 0 ? error : { oneOf: [...own, error] } } },
  };
}

function jsonContent(schema: Schema): object {
  return { [JSON_TYPE]: { schema: schemaOf(schema) } };
}

function schemaOf(schema: Schema): object {
  const { $schema: _, ...described } = toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return described;
}
