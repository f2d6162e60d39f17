// The endpoints of objects, revisions and commands, as data.
import * as z from 'zod/mini';
import { sha256 } from '../../shared/schema/names.ts';
import { stepProgress, stepRow } from '../../shared/schema/steps.ts';
import { collectGarbage, commandBody, commandProblem, runCommand } from './commands.ts';
import { type Endpoint, endpoint, endpointWithBody, endpointWithStream, endpointWithText } from './endpoint.ts';
import { getObject, listObjects, putObject } from './objects.ts';
import { getProgress, getStep, listSteps, putStep, refuseStepName, setCommitMessage } from './steps.ts';

const mgmt = { access: 'mgmt' } as const;
const objectShown = z.strictObject({ sha256, size: z.string() });
/** Any JSON object: what was put, byte for byte. */
const state = z.record(z.string(), z.unknown());

export const STEP_ENDPOINTS: readonly Endpoint[] = [
  endpoint({ ...mgmt, method: 'GET', path: '/objects', answer: z.array(objectShown) }, listObjects),
  endpoint({ ...mgmt, method: 'GET', path: '/objects/{sha256}', answer: undefined }, getObject),
  endpointWithStream({ ...mgmt, method: 'PUT', path: '/objects/{sha256}', answer: undefined }, putObject),
  endpoint({ ...mgmt, method: 'GET', path: '/steps', answer: z.array(stepRow) }, listSteps),
  // The paths below locals/ first: `locals` could be a revision's name as well.
  ...['/steps/locals/{name}', '/steps/{rev}'].flatMap((path) => [
    endpoint({ ...mgmt, method: 'GET', path, answer: state }, getStep),
    endpoint({ ...mgmt, method: 'GET', path: `${path}/progress`, answer: stepProgress }, getProgress),
    endpointWithText({ ...mgmt, method: 'PUT', path: `${path}/commitmsg`, answer: undefined }, setCommitMessage),
  ]),
  endpointWithStream({ ...mgmt, method: 'PUT', path: '/steps/locals/{name}', answer: undefined }, putStep),
  ...['/steps/{rev}', '/steps/locals/{name}/{rest}'].map((path) =>
    endpointWithStream({ ...mgmt, method: 'PUT', path, answer: undefined }, refuseStepName),
  ),
  endpointWithBody(
    { ...mgmt, method: 'POST', path: '/commands', answer: undefined },
    { schema: commandBody, problemText: commandProblem },
    runCommand,
  ),
  endpoint(
    { ...mgmt, method: 'POST', path: '/storage/gc', answer: z.strictObject({ reclaimed: z.int() }) },
    collectGarbage,
  ),
];
