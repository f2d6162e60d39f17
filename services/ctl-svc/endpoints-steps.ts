// The endpoints of objects, revisions and commands, as data.
import * as z from 'zod/mini';
import { sha256 } from '../../shared/schema/names.ts';
import { stepProgress, stepRow } from '../../shared/schema/steps.ts';
import { collectGarbage, commandBody, commandProblem, runCommand } from './commands.ts';
import { type Endpoint, endpoint, endpointWithBody, endpointWithStream, endpointWithText } from './endpoint.ts';
import { getObject, listObjects, putObject } from './objects.ts';
import { getProgress, getStep, listSteps, putStep, refuseStepName, setCommitMessage } from './steps.ts';

const objectShown = z.strictObject({ sha256, size: z.string() });
/** Any JSON object: what was put, byte for byte. */
const state = z.record(z.string(), z.unknown());

export const STEP_ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    { method: 'GET', path: '/objects', answer: z.array(objectShown), summary: 'objects in the store' },
    listObjects,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/objects/{sha256}',
      contentType: 'application/octet-stream',
      summary: 'its bytes',
      errors: [400, 404],
    },
    getObject,
  ),
  endpointWithStream(
    {
      method: 'PUT',
      path: '/objects/{sha256}',
      summary: 'stores the body, which must have that sha256',
      errors: [400, 422, 507],
    },
    putObject,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/steps',
      answer: z.array(stepRow),
      summary: 'revisions that are here, with their progress',
    },
    listSteps,
  ),
  // The paths below locals/ first: `locals` could be a revision's name as well.
  ...['/steps/locals/{name}', '/steps/{rev}'].flatMap((path) => [
    endpoint({ method: 'GET', path, answer: state, summary: 'its state JSON; `current` runs', errors: [404] }, getStep),
    endpoint(
      {
        method: 'GET',
        path: `${path}/progress`,
        answer: stepProgress,
        summary: 'how far its update is, and why it failed',
        errors: [404],
      },
      getProgress,
    ),
    endpointWithText(
      { method: 'PUT', path: `${path}/commitmsg`, summary: 'sets its commit message', errors: [404, 507] },
      setCommitMessage,
    ),
  ]),
  endpointWithStream(
    {
      method: 'PUT',
      path: '/steps/locals/{name}',
      summary: 'makes the state JSON of the body a revision',
      errors: [400, 409, 422, 507],
    },
    putStep,
  ),
  ...['/steps/{rev}', '/steps/locals/{name}/{rest}'].map((path) =>
    endpointWithStream({ method: 'PUT', path, summary: 'refused: no local revision', errors: [400] }, refuseStepName),
  ),
  endpointWithBody(
    { method: 'POST', path: '/commands', summary: 'gives the device a command', errors: [404, 409] },
    { schema: commandBody, problemText: commandProblem },
    runCommand,
  ),
  endpoint(
    {
      method: 'POST',
      path: '/storage/gc',
      answer: z.strictObject({ reclaimed: z.int() }),
      summary: 'collects garbage now',
      errors: [507],
    },
    collectGarbage,
  ),
];
