// The control API over a Unix socket, as tests ask it.
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import * as z from 'zod/mini';
import { containerRow, groupRow } from '../../shared/schema/api.ts';
import { holdAgainstDocument } from './declared.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

const ASK_TIMEOUT_MS = 30_000;

export function ask(socketPath: string, method: string, path: string, body?: unknown): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    // A connection of its own: one that is kept could be closed by the server in the moment in which it is used again.
    const options = { socketPath, method, path, timeout: ASK_TIMEOUT_MS, agent: false };
    const outgoing = request(options, async (response) => {
      const answer = { status: response.statusCode ?? 0, body: await text(response) };
      try {
        holdAgainstDocument({ ...answer, method, target: path, contentType: response.headers['content-type'] });
        resolve(answer);
      } catch (error) {
        reject(error);
      }
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer`)));
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export const serviceRows = z.array(
  z.object({
    name: z.string(),
    pid: z.int(),
    uid: z.int(),
    capabilities: z.array(z.string()),
    state: z.string(),
    restarts: z.int(),
    last_exit: z.nullable(z.object({ reason: z.string(), last_words: z.string() })),
  }),
);
export const containerRows = z.array(containerRow);
export const groupRows = z.array(groupRow);
export const leaseRows = z.array(
  z.object({ owner: z.string(), pool: z.string(), interface: z.string(), address: z.string(), mac: z.string() }),
);
export const healthAnswer = z.object({
  status: z.string(),
  reasons: z.array(z.object({ code: z.string(), subject: z.string(), message: z.string() })),
});

/** The parsed body of a GET that must succeed. */
export async function get<T extends z.ZodMiniType>(socketPath: string, path: string, schema: T): Promise<z.output<T>> {
  const { status, body } = await ask(socketPath, 'GET', path);
  if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${body}`);
  return schema.parse(JSON.parse(body));
}
