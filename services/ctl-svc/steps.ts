// What the endpoints of revisions do: their states are files, everything else is asked of state-svc.
import { join } from 'node:path';
import { allPages } from '../../shared/ipc/page.ts';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { revisionName } from '../../shared/schema/names.ts';
import type { BodyStream } from './body-stream.ts';
import type { EndpointRequest, Handler, Sources } from './endpoint.ts';
import { fileReply } from './file-reply.ts';
import type { Peers } from './peers.ts';
import { DONE, json, type Reply, refuse } from './reply.ts';
import { receive, storeRefusal } from './upload.ts';

const NO_STEP = refuse(404, 'Step not found');
const BAD_STEP_NAME = 'Request has bad step name';
/** To the letter what clients compare. */
const STATE_FAILED = 'State verification has failed';

/** `{rev}`, or `locals/{name}` where the path has that. */
function stepName({ params }: EndpointRequest<unknown>): string {
  return params.name === undefined ? (params.rev ?? '') : `locals/${params.name}`;
}

export const listSteps: Handler<undefined> = async (request, { peers }) =>
  json((await pages(peers, request.signal())).steps);

async function pages({ state }: Peers, signal: AbortSignal) {
  let current = '';
  const steps = await allPages(async (after) => {
    const answer = await state.listSteps({ after }, { signal });
    // It has no declared errors.
    if (!answer.ok) return { rows: [], next: undefined };
    current = answer.value.current;
    return { rows: answer.value.steps, next: answer.value.next };
  });
  return { steps, current };
}

export const getStep: Handler<undefined> = async (request, { peers, storage }) => {
  const asked = stepName(request);
  const name = asked === 'current' ? await currentStep(peers, request.signal()) : asked;
  if (!revisionName.safeParse(name).success) return NO_STEP;
  try {
    return await fileReply(join(storage, 'trails', name, '.pvr/json'), 'application/json');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return NO_STEP;
    return refuse(500, `Step cannot be read: ${reasonOf(error)}`);
  }
};

async function currentStep({ state }: Peers, signal: AbortSignal): Promise<string> {
  const answer = await state.listSteps({}, { signal });
  return answer.ok ? answer.value.current : '';
}

export const putStep: Handler<BodyStream> = async (request, sources) => {
  const { peers } = sources;
  const received = await receive(request.body, undefined, sources);
  if (received.kind === 'refused') return received.reply;
  // Only objects can be there already.
  if (received.kind === 'present') return DONE;
  const answer = await peers.state.putStep({ name: stepName(request), id: received.id });
  if (answer.ok) return DONE;
  const { error } = answer;
  switch (error.code) {
    case 'BAD_STEP_NAME':
      return refuse(400, BAD_STEP_NAME, [error.reason]);
    case 'STATE_INVALID':
      return refuse(
        422,
        STATE_FAILED,
        error.problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)),
      );
    case 'STEP_IN_USE':
      return refuse(409, error.reason);
    case 'NO_SUCH_UPLOAD':
    case 'NO_SPACE':
    case 'STORE_FAILED':
      return storeRefusal(error);
  }
};

/** A path that could be no local revision's. */
export const refuseStepName: Handler<BodyStream> = async ({ body }) => {
  await body.discard();
  return refuse(400, BAD_STEP_NAME, ['a step is put to /steps/locals/{name}']);
};

export const getProgress: Handler<undefined> = async (request, { peers }) => {
  const answer = await peers.state.stepProgress({ name: stepName(request) }, { signal: request.signal() });
  return answer.ok ? json(answer.value.progress) : NO_STEP;
};

export const setCommitMessage: Handler<string> = async (request, { peers }: Sources): Promise<Reply> => {
  const answer = await peers.state.setCommitMessage({ name: stepName(request), message: request.body });
  if (answer.ok) return DONE;
  const { error } = answer;
  switch (error.code) {
    case 'NO_SUCH_STEP':
      return NO_STEP;
    case 'TOO_LONG':
      return refuse(400, `Commit message has ${error.bytes} bytes: at most ${error.maxBytes} are kept`);
    case 'STORE_FAILED':
      return storeRefusal(error);
  }
};
