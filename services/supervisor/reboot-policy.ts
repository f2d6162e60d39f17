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
  /** To be remembered before the reboot; of other causes as it was. */
  readonly past: readonly PastReboot[];
}

export const MAX_REBOOTS = 3;
/** Between two reboots of a row, at most. A device that takes long to boot is in the same row with each. */
export const REBOOT_WINDOW_MS = 10 * 60_000;

/**
 * Where nobody but a reboot starts what ended, each end is followed by one, however long it ran before: what does not stay for a day is
 * not mended by them. Other causes are there at a boot, or come of retries that whoever wrote the revision has set.
 */
const LONG_WINDOWS_MS: ReadonlyMap<string, number> = new Map([['SYSTEM_CONTAINER_DOWN', 24 * 60 * 60_000]]);

export const windowOf = (code: string): number => LONG_WINDOWS_MS.get(code) ?? REBOOT_WINDOW_MS;

/** Of all causes together; older ones are forgotten. */
const MAX_REMEMBERED = 32;

/** The wall clock of many boards starts in the past at each boot, and is set some time later, or never. */
export interface RebootTimes {
  readonly nowMs: number;
  /** For how long there was none for this cause for certain, by a clock that nobody sets: no longer than this tree has lived. */
  readonly quietMs: number;
}

/**
 * Those of one cause that followed each other until now. Of their times only the latest can be relied on: others may be of a clock that had not
 * been set yet. If more has passed since then than a row with that many pauses may take, one of these was too long for it.
 */
function rowOf(same: readonly PastReboot[], windowMs: number, { nowMs, quietMs }: RebootTimes): readonly PastReboot[] {
  if (quietMs >= windowMs) return [];
  const latestMs = Math.max(...same.map(({ atMs }) => atMs));
  const latest = same.findLastIndex(({ atMs }) => atMs === latestMs);
  const pauses = same.length - latest;
  return nowMs - latestMs >= pauses * windowMs ? same.slice(latest + 1) : same;
}

export function decideReboot(past: readonly PastReboot[], cause: RebootCause, times: RebootTimes): RebootDecision {
  const { code } = cause;
  const row = rowOf(
    past.filter((each) => each.code === code),
    windowOf(code),
    times,
  );
  if (row.length >= MAX_REBOOTS) return { allowed: false, past };
  const kept = past.filter((each) => each.code !== code || row.includes(each));
  return { allowed: true, past: [...kept, { ...cause, atMs: times.nowMs }].slice(-MAX_REMEMBERED) };
}
