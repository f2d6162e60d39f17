// How far a revision has come, in the words of the stock runtime. Pure.
import { type ProgressStatus, type StepProgress, stepProgress } from '../../shared/schema/steps.ts';

const TEXTS = {
  ready: ['NEW', 'Update ready to be run', 0],
  factory: ['DONE', 'Factory revision', 100],
  done: ['DONE', 'Update finished, revision set as rollback point', 100],
  updated: ['UPDATED', 'Update finished, revision not set as rollback point', 100],
  applied: ['INPROGRESS', 'Update applied', 50],
  installed: ['INPROGRESS', 'Update installed', 50],
  starting: ['INPROGRESS', 'Starting updated version', 75],
  transitioning: ['INPROGRESS', 'Transitioning to new revision without rebooting', 75],
  rebooting: ['INPROGRESS', 'Rebooting', 75],
  awaitingRollbackPoint: ['TESTING', 'Awaiting to set rollback point if update is stable', 90],
  awaitingStability: ['TESTING', 'Awaiting to see if update is stable', 90],
  awaitingStable: ['TESTING', 'Waiting for all containers to become stable', 85],
  badState: ['WONTGO', 'State JSON has bad format', 0],
  badSignature: ['WONTGO', 'Signature validation failed', 0],
  notCovered: ['WONTGO', 'State not fully covered by signatures', 0],
  containerFailed: ['ERROR', 'A container could not be started', 0],
  goalMissed: ['ERROR', 'Status goal not reached', 0],
  badObject: ['ERROR', 'Object validation went wrong', 0],
  rolledBack: ['ERROR', 'Unexpected rollback', 0],
  internal: ['ERROR', 'Internal error', 0],
} as const satisfies Readonly<Record<string, readonly [ProgressStatus, string, number]>>;

export type Stage = keyof typeof TEXTS;
/** Stages in which an update ends that did not make it. */
export type FailedStage =
  | 'badState'
  | 'badSignature'
  | 'notCovered'
  | 'containerFailed'
  | 'goalMissed'
  | 'badObject'
  | 'rolledBack'
  | 'internal';

/** `logs`: JSON log lines that explain a failure. */
export function progressAt(stage: Stage, logs?: string): StepProgress {
  const [status, message, progress] = TEXTS[stage];
  return { status, 'status-msg': message, progress, retries: 0, ...(logs === undefined ? {} : { logs }) };
}

/** It was checked, and nothing of it was run. */
export function isApplied({ 'status-msg': message }: StepProgress): boolean {
  return message === TEXTS.applied[1];
}

/** What was written down; undefined when it is damaged. */
export function parseProgress(text: string): StepProgress | undefined {
  try {
    const parsed = stepProgress.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** For lists, which are to stay short. */
export function withoutLogs({ logs: _logs, ...progress }: StepProgress): StepProgress {
  return progress;
}
