// What the endpoints of metadata do: pages become one object, keys and values are checked before they travel.
import type { Refusal } from '../../shared/ipc/contract.ts';
import { allPages } from '../../shared/ipc/page.ts';
import { keyProblem, type MetadataKind, valueProblem } from '../../shared/schema/metadata.ts';
import type { stateContract } from '../state-svc/contract.ts';
import type { Handler } from './endpoint.ts';
import type { Peers } from './peers.ts';
import { DONE, type Reply, refuse } from './reply.ts';

export function listMetadata(kind: MetadataKind): Handler<undefined> {
  return async (request, { peers }) => {
    const entries = await allEntries(kind, peers, request.signal());
    const shown = entries.map(({ key, value }) => `${JSON.stringify(key)}:${shownValue(kind, value)}`);
    return { kind: 'json', status: 200, json: `{${shown.join(',')}}` };
  };
}

export function setMetadata(kind: MetadataKind): Handler<string> {
  return async ({ params, body: value, signal }, { peers }) => {
    const key = params.key ?? '';
    const problem = keyProblem(key);
    if (problem !== undefined) return badKey(key, problem);
    const wrong = valueProblem(value);
    if (wrong !== undefined) return refuse(400, `Metadata value of '${key}' is not valid: ${wrong}`);
    const answer = await peers.state.setMetadata({ kind, key, value }, { signal: signal() });
    return answer.ok ? DONE : refused(key, answer.error);
  };
}

export function deleteMetadata(kind: MetadataKind): Handler<undefined> {
  return async ({ params, signal }, { peers }) => {
    const key = params.key ?? '';
    const problem = keyProblem(key);
    if (problem !== undefined) return badKey(key, problem);
    const answer = await peers.state.deleteMetadata({ kind, key }, { signal: signal() });
    return answer.ok ? DONE : refused(key, answer.error);
  };
}

function refused(key: string, error: Refusal<typeof stateContract, 'setMetadata' | 'deleteMetadata'>): Reply {
  switch (error.code) {
    case 'KEPT_BY_BERTH':
      return refuse(409, `Metadata key '${key}' is kept by Berth itself; take another one`);
    case 'KEY_NOT_FOUND':
      return refuse(404, `Metadata key '${key}' not found`);
    case 'LIMIT_REACHED':
      return refuse(
        400,
        `Metadata key '${key}' does not fit: there may be ${error.limit} ${error.what} in all; delete others first`,
      );
    case 'WRITE_FAILED':
      // A text that clients compare.
      if (error.full) return refuse(507, 'Not enough disk space available');
      return refuse(500, `Metadata key '${key}' cannot be written: ${error.reason}`);
  }
}

function badKey(key: string, problem: string): Reply {
  return refuse(400, `Metadata key '${key.slice(0, 64)}' is not valid: ${problem}`);
}

function allEntries(kind: MetadataKind, { state }: Peers, signal: AbortSignal) {
  return allPages(async (after) => {
    const answer = await state.listMetadata({ kind, after }, { signal });
    // It has no declared errors.
    return answer.ok ? { rows: answer.value.entries, next: answer.value.next } : { rows: [], next: undefined };
  });
}

function shownValue(kind: MetadataKind, value: string): string {
  return kind === 'device' && isDocument(value) ? value : JSON.stringify(value);
}

/** An object or an array: a number or a word in quotes is a text like any other. */
function isDocument(value: string): boolean {
  if (!/^\s*[[{]/.test(value)) return false;
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}
