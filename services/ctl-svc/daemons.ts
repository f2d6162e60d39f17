// What the endpoints of daemons do: Berth's own services, as Pantavisor's clients list, stop and start the runtime's daemons.
import * as z from 'zod/mini';
import type { BodyProblem, Handler } from './endpoint.ts';
import { DONE, json, refuse } from './reply.ts';

export const daemonRow = z.strictObject({ name: z.string(), pid: z.int(), respawn: z.boolean() });
export const daemonBody = z.object({ action: z.enum(['start', 'stop']) });

const EXPECTED = 'expected {"action":"start"} or "stop"';

export function daemonProblem(problem: BodyProblem): string {
  switch (problem.kind) {
    case 'empty':
      return `Request has no data: ${EXPECTED}`;
    case 'notJson':
      return `Request has invalid JSON: ${EXPECTED}`;
    case 'shape':
      return `Request has no known action: ${EXPECTED}`;
  }
}

export const listDaemons: Handler<undefined> = async (request, { peers }) => {
  const answer = await peers.supervisor.listServices({}, { signal: request.signal() });
  return json(answer.ok ? answer.value.services.map(({ name, pid, respawn }) => ({ name, pid, respawn })) : []);
};

export const controlDaemon: Handler<z.output<typeof daemonBody>> = async ({ params, body }, { peers }) => {
  const service = params.name ?? '';
  const answer = await peers.supervisor.controlService({ service, action: body.action });
  if (answer.ok) return DONE;
  switch (answer.error.code) {
    case 'SERVICE_NOT_FOUND':
      return refuse(404, 'Daemon not found');
    case 'NOT_STOPPABLE':
      return refuse(409, `Daemon '${service}' cannot be stopped: ${answer.error.reason}`);
  }
};
