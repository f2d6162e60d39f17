// Hooks: the events at which programs of the device's maker run, and what they are told of the device. Words are the stock runtime's.
import * as z from 'zod/mini';
import { revisionName } from './names.ts';
import { progressStatus } from './steps.ts';

export const HOOK_EVENTS = ['system-start', 'system-install-update', 'system-boot-done', 'system-done'] as const;
export const hookEvent = z.enum(HOOK_EVENTS);
export type HookEvent = z.output<typeof hookEvent>;

export const hookSituation = z.strictObject({
  /** Of the tree: what happened in another one happens again. */
  life: z.string(),
  /** The one that runs. */
  revision: revisionName,
  /** The one that comes, or was booted to be tried; `''`: none. */
  tried: z.union([revisionName, z.literal('')]),
  /** It was booted, and is not committed yet. */
  tryBoot: z.boolean(),
  /** How far the one that runs has come; `''`: not known. */
  status: z.union([progressStatus, z.literal('')]),
});
export type HookSituation = z.output<typeof hookSituation>;
