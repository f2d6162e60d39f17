// GET /events as tests follow it: the statuses of containers in the order in which they came about.
import { once } from 'node:events';
import { request } from 'node:http';
import * as z from 'zod/mini';

export interface StatusFeed {
  /** `<container> <status>`, each change once. */
  readonly seen: readonly string[];
  close(): void;
}

const row = z.object({ name: z.string(), status: z.string() });

/** Resolves when the server has begun to answer: what happens from then on is seen. */
export async function followStatuses(socketPath: string): Promise<StatusFeed> {
  const seen: string[] = [];
  const last = new Map<string, string>();
  const outgoing = request({ socketPath, path: '/events', agent: false });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  let rest = '';
  response.setEncoding('utf8');
  response.on('error', () => undefined);
  response.on('data', (chunk: string) => {
    const blocks = `${rest}${chunk}`.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, data] = /^event: container$[\s\S]*^data: (.*)$/m.exec(block) ?? [];
      if (data === undefined) continue;
      const { name, status } = row.parse(JSON.parse(data));
      if (last.get(name) !== status) seen.push(`${name} ${status}`);
      last.set(name, status);
    }
  });
  return {
    seen,
    close() {
      outgoing.on('error', () => undefined);
      outgoing.destroy();
    },
  };
}
