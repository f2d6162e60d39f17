// What the endpoints do that tell the device to do something.
import * as z from 'zod/mini';
import type { Refusal } from '../../shared/ipc/contract.ts';
import { COMMAND_OPS, type CommandOp, commandOp } from '../../shared/schema/steps.ts';
import type { stateContract } from '../state-svc/contract.ts';
import type { BodyProblem, Handler } from './endpoint.ts';
import { DONE, json, type Reply, refuse, tryLater } from './reply.ts';
import { storeRefusal } from './upload.ts';

export const commandBody = z.union([
  z.object({
    op: commandOp,
    /** DEFER_REBOOT is sent its seconds as a number, too. */
    payload: z.optional(z.nullable(z.union([z.string(), z.number()]))),
  }),
  /** Whose payload is no text. Whether there is such an operation is not the business of who reads the request. */
  z.object({ op: z.literal(['UPDATE_METADATA', 'XCONNECT_GRAPH']), payload: z.unknown() }),
]);
type CommandBody = z.output<typeof commandBody>;

const EXPECTED = 'expected {"op":"…","payload":"…"}';

export function commandProblem(problem: BodyProblem): string {
  switch (problem.kind) {
    case 'empty':
      return `Command has no data: ${EXPECTED}`;
    case 'notJson':
      return `Command has bad format: it is no JSON, ${EXPECTED}`;
    case 'shape':
      return shapeProblem(problem.value);
  }
}

function shapeProblem(value: unknown): string {
  const given = z.object({ op: z.string() }).safeParse(value);
  if (!given.success) return `Command has bad format: it has no op, ${EXPECTED}`;
  const known: readonly string[] = COMMAND_OPS;
  if (known.includes(given.data.op)) return 'Command has a bad payload: expected a text';
  return `Command op '${given.data.op.slice(0, 64)}' is unknown: there are ${COMMAND_OPS.join(', ')}`;
}

export const runCommand: Handler<CommandBody> = async ({ body }, { peers }) => {
  const payload = textOf(body.payload);
  const answer = await peers.state.runCommand({ op: body.op, payload });
  return answer.ok ? DONE : commandRefused(body.op, payload, answer.error);
};

function textOf(payload: CommandBody['payload']): string {
  if (payload === undefined || payload === null) return '';
  return typeof payload === 'string' ? payload : JSON.stringify(payload);
}

function commandRefused(op: CommandOp, payload: string, error: Refusal<typeof stateContract, 'runCommand'>): Reply {
  switch (error.code) {
    case 'BUSY':
      return { ...tryLater(`${op} has to wait: ${error.doing}`), retryAfterSeconds: error.retryAfterSeconds };
    case 'NO_SUCH_STEP':
      return refuse(404, `Step '${payload.slice(0, 80)}' not found`);
    case 'BAD_PAYLOAD':
      return refuse(400, `${op} has a bad payload: ${error.reason}`);
    case 'UNSUPPORTED':
      return refuse(409, `${op} is not supported: ${error.reason}`);
    case 'STORE_FAILED':
      return storeRefusal(error);
  }
}

export const collectGarbage: Handler<undefined> = async (_request, { peers }) => {
  const answer = await peers.state.collectGarbage({});
  return answer.ok ? json({ reclaimed: answer.value.reclaimedBytes }) : storeRefusal(answer.error);
};
