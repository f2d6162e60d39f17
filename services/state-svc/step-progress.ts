// How far a revision has come, in the words of the stock runtime. Pure.
import * as z from 'zod/mini';
import { type ProgressStatus, progressStatus, type StepProgress, stepProgress } from '../../shared/schema/steps.ts';

/** The numbers never go back during a try, and are 100 at every end: who waits for that learns of a failure, too. */
const TEXTS = {
  ready: ['NEW', 'Update ready to be run', 0],
  factory: ['DONE', 'Factory revision', 100],
  done: ['DONE', 'Update finished, revision set as rollback point', 100],
  updated: ['UPDATED', 'Update finished, revision not set as rollback point', 100],
  applied: ['INPROGRESS', 'Update applied', 50],
  installed: ['INPROGRESS', 'Update installed', 50],
  starting: ['INPROGRESS', 'Starting updated version', 75],
  transitioning: ['INPROGRESS', 'Transitioning to new revision without rebooting', 50],
  rebooting: ['INPROGRESS', 'Rebooting', 50],
  awaitingRollbackPoint: ['TESTING', 'Awaiting to set rollback point if update is stable', 75],
  awaitingStability: ['TESTING', 'Awaiting to see if update is stable', 75],
  awaitingStable: ['TESTING', 'Waiting for all containers to become stable', 75],
  badState: ['WONTGO', 'State JSON has bad format', 100],
  badSignature: ['WONTGO', 'Signature validation failed', 100],
  notCovered: ['WONTGO', 'State not fully covered by signatures', 100],
  noSpace: ['WONTGO', 'Space required', 100],
  containerFailed: ['ERROR', 'A container could not be started', 100],
  goalMissed: ['ERROR', 'Status goal not reached', 100],
  badObject: ['ERROR', 'Object validation went wrong', 100],
  rolledBack: ['ERROR', 'Unexpected rollback', 100],
  internal: ['ERROR', 'Internal error', 100],
} as const satisfies Readonly<Record<string, readonly [ProgressStatus, string, number]>>;

export type ProgressStage = keyof typeof TEXTS;
/** Stages in which an update ends that did not make it. */
export type FailedStage =
  | 'badState'
  | 'badSignature'
  | 'notCovered'
  | 'noSpace'
  | 'containerFailed'
  | 'goalMissed'
  | 'badObject'
  | 'rolledBack'
  | 'internal';

/** `logs`: JSON log lines that explain a failure. */
export function progressAt(stage: ProgressStage, logs?: string): StepProgress {
  const [status, message, progress] = TEXTS[stage];
  return { status, 'status-msg': message, progress, retries: 0, ...(logs === undefined ? {} : { logs }) };
}

/** It was checked, and nothing of it was run. */
export function isApplied({ 'status-msg': message }: StepProgress): boolean {
  return message === TEXTS.applied[1];
}

/** It was seen to run as it should. */
export function isGood({ status }: StepProgress): boolean {
  return status === 'DONE' || status === 'UPDATED';
}

/** It is to be tried by a reboot that has not come yet, as far as it is told. */
export function awaitsReboot({ status, 'status-msg': message }: StepProgress): boolean {
  return status === 'INPROGRESS' && (message === TEXTS.installed[1] || message === TEXTS.rebooting[1]);
}

/** Of a file that says no more than how far it is. */
const NUMBERS: Readonly<Record<ProgressStatus, number>> = {
  NEW: 0,
  INPROGRESS: 50,
  TESTING: 75,
  UPDATED: 100,
  DONE: 100,
  WONTGO: 100,
  ERROR: 100,
};

/** Pantavisor, and other builds of Berth, write more or less than this one does; the status is what counts. */
const written = z.object({
  status: progressStatus,
  'status-msg': z.catch(stepProgress.shape['status-msg'], ''),
  progress: z.catch(z.optional(stepProgress.shape.progress), undefined),
  retries: z.catch(stepProgress.shape.retries, 0),
  logs: z.catch(stepProgress.shape.logs, undefined),
});

/** What was written down; undefined when it is damaged, or of a status that no revision has here. */
export function parseProgress(text: string): StepProgress | undefined {
  try {
    const parsed = written.safeParse(JSON.parse(text));
    if (!parsed.success) return undefined;
    const { status, progress, logs, ...rest } = parsed.data;
    const number = NUMBERS[status];
    // Ends were 0 in an earlier build where they were failures.
    const known = { status, ...rest, progress: number === 100 ? number : (progress ?? number) };
    return logs === undefined ? known : { ...known, logs };
  } catch {
    return undefined;
  }
}

/** For lists, which are to stay short. */
export function withoutLogs({ logs: _logs, ...progress }: StepProgress): StepProgress {
  return progress;
}
