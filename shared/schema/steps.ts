// Revisions as the control API shows them, and how far each has come; field names and texts are the stock runtime's.
import * as z from 'zod/mini';
import { revisionName, sha256 } from './names.ts';

export const PROGRESS_STATUSES = ['NEW', 'INPROGRESS', 'TESTING', 'UPDATED', 'DONE', 'WONTGO', 'ERROR'] as const;
export const progressStatus = z.enum(PROGRESS_STATUSES);
export type ProgressStatus = z.output<typeof progressStatus>;

export const stepProgress = z.strictObject({
  status: progressStatus,
  'status-msg': z.string(),
  progress: z.int().check(z.minimum(0), z.maximum(100)),
  retries: z.int().check(z.minimum(0)),
  /** After a failure: JSON log lines, one a line, that explain it. */
  logs: z.optional(z.string()),
});
export type StepProgress = z.output<typeof stepProgress>;

/** MAX_COMMITMSG_BYTES of UTF-8. */
export const MAX_COMMITMSG_BYTES = 512;

export const stepRow = z.strictObject({
  name: revisionName,
  /** RFC 3339: when its state came here. */
  date: z.string(),
  commitmsg: z.string(),
  /** Without `logs`: they are in the step's own progress. */
  progress: stepProgress,
});
export type StepRow = z.output<typeof stepRow>;

export const objectRow = z.strictObject({ sha256, bytes: z.int().check(z.minimum(0)) });
export type ObjectRow = z.output<typeof objectRow>;

/** The name of an upload under way, and of its file. */
export const uploadId = z.string().check(z.regex(/^[0-9a-f]{32}$/, '32 hex digits'));

export const COMMAND_OPS = [
  'LOCAL_RUN',
  'LOCAL_RUN_COMMIT',
  'TRY_ONCE',
  'LOCAL_APPLY',
  'MAKE_FACTORY',
  'RUN_GC',
  'REBOOT_DEVICE',
  'POWEROFF_DEVICE',
  'DEFER_REBOOT',
  'ENABLE_SSH',
  'DISABLE_SSH',
  'GO_REMOTE',
  'UNCLAIM',
  'UPDATE_METADATA',
  'XCONNECT_GRAPH',
] as const;
export const commandOp = z.enum(COMMAND_OPS);
export type CommandOp = z.output<typeof commandOp>;
