// Durations and sizes as people read them, in few characters. Pure.

/** `45s`, `12m`, `3h05m`, `2d4h`: seconds, never negative. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (whole < 60) return `${whole}s`;
  if (hours === 0) return `${minutes}m`;
  if (hours < 24) return `${hours}h${String(minutes % 60).padStart(2, '0')}m`;
  return `${Math.floor(hours / 24)}d${hours % 24}h`;
}

/** `-` when `since` is no date. */
export function elapsed(since: string, nowMs: number): string {
  const then = Date.parse(since);
  return Number.isNaN(then) ? '-' : duration((nowMs - then) / 1000);
}

/** Bytes as MiB with one digit. */
export function mebibytes(bytes: number): string {
  return `${(bytes / (1024 * 1024)).toFixed(1)} MiB`;
}
