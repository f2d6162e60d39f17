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
export const REBOOT_WINDOW_MS = 10 * 60_000;
/** Of all causes together; older ones are forgotten. */
const MAX_REMEMBERED = 32;

/** Boards without a clock start in the past: a reboot in the future is one of the last minutes, too. */
const isRecent = (atMs: number, nowMs: number): boolean => nowMs - atMs < REBOOT_WINDOW_MS;

export function decideReboot(past: readonly PastReboot[], cause: RebootCause, nowMs: number): RebootDecision {
  const recent = past.filter(({ atMs }) => isRecent(atMs, nowMs));
  const same = recent.filter(({ code }) => code === cause.code);
  if (same.length >= MAX_REBOOTS) return { allowed: false, past: recent };
  return { allowed: true, past: [...recent, { ...cause, atMs: nowMs }].slice(-MAX_REMEMBERED) };
}
