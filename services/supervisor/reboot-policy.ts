// Whether a reboot that was asked for is carried out, as a pure function of those before: a device must not reboot for ever
// for a cause that a reboot does not mend.

export interface RebootCause {
  /** UPPER_SNAKE, for machines; two reboots with the same code have the same cause. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

export interface PastReboot extends RebootCause {
  /** Epoch milliseconds. */
  readonly atMs: number;
}

export interface RebootDecision {
  readonly allowed: boolean;
  /** To be remembered before the reboot. */
  readonly past: readonly PastReboot[];
}

export const MAX_REBOOTS = 3;
/** Between two reboots of a row. A device that takes long to boot is in the same row with each. */
export const REBOOT_WINDOW_MS = 10 * 60_000;

/**
 * Where nobody but a reboot starts what ended, each end is followed by one, however long it ran before: what does not stay for a day is
 * not mended by them. Other causes are there at a boot, or come of retries that whoever wrote the revision has set.
 */
const LONG_WINDOWS_MS: ReadonlyMap<string, number> = new Map([['SYSTEM_CONTAINER_DOWN', 24 * 60 * 60_000]]);

export const windowOf = (code: string): number => LONG_WINDOWS_MS.get(code) ?? REBOOT_WINDOW_MS;

/** Of all causes together; older ones are forgotten. */
const MAX_REMEMBERED = 32;

/** Those of one cause that followed each other until now. Boards without a clock start in the past: a reboot in the future is one of the row, too. */
function rowOf(code: string, past: readonly PastReboot[], nowMs: number): readonly PastReboot[] {
  const same = past.filter((each) => each.code === code);
  let nextMs = nowMs;
  const before = same.findLastIndex(({ atMs }) => {
    const isApart = nextMs - atMs >= windowOf(code);
    nextMs = Math.min(nextMs, atMs);
    return isApart;
  });
  return same.slice(before + 1);
}

export function decideReboot(past: readonly PastReboot[], cause: RebootCause, nowMs: number): RebootDecision {
  const rows = new Map([cause, ...past].map(({ code }) => [code, rowOf(code, past, nowMs)]));
  const recent = past.filter((each) => rows.get(each.code)?.includes(each));
  if ((rows.get(cause.code) ?? []).length >= MAX_REBOOTS) return { allowed: false, past: recent };
  return { allowed: true, past: [...recent, { ...cause, atMs: nowMs }].slice(-MAX_REMEMBERED) };
}
