// The time of a line where the configuration asks for another than UTC: Pantavisor's `strftime:<format>` and five of Go's layouts by name. Local time. Pure.

/** `timeMs`: milliseconds since 1970-01-01 UTC. */
export type TimeFormat = (timeMs: number) => string;

/** https://pkg.go.dev/time#pkg-constants, as strftime(3) would say them. */
const GO_LAYOUTS: Readonly<Record<string, string>> = {
  Layout: "%m/%d %I:%M:%S%p '%y %z",
  RubyDate: '%a %b %d %T %z %Y',
  ANSIC: '%a %b %e %T %Y',
  RFC822Z: '%d %b %y %H:%M %z',
  RFC1123Z: '%a, %d %b %Y %T %z',
};

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

const two = (value: number, fill = '0'): string => String(value).padStart(2, fill);
const nameOf = (names: readonly string[], index: number): string => names[index] ?? '';

/** In the C locale. What is not here stays as it is written. */
const CONVERSIONS: Readonly<Record<string, (time: Date) => string>> = {
  a: (time) => nameOf(DAYS, time.getDay()).slice(0, 3),
  A: (time) => nameOf(DAYS, time.getDay()),
  b: (time) => nameOf(MONTHS, time.getMonth()).slice(0, 3),
  B: (time) => nameOf(MONTHS, time.getMonth()),
  c: (time) => written('%a %b %e %T %Y', time),
  d: (time) => two(time.getDate()),
  D: (time) => written('%m/%d/%y', time),
  e: (time) => two(time.getDate(), ' '),
  F: (time) => written('%Y-%m-%d', time),
  H: (time) => two(time.getHours()),
  I: (time) => two(time.getHours() % 12 || 12),
  j: (time) => String(dayOfYear(time)).padStart(3, '0'),
  m: (time) => two(time.getMonth() + 1),
  M: (time) => two(time.getMinutes()),
  n: () => '\n',
  p: (time) => (time.getHours() < 12 ? 'AM' : 'PM'),
  R: (time) => written('%H:%M', time),
  s: (time) => String(Math.floor(time.getTime() / 1000)),
  S: (time) => two(time.getSeconds()),
  t: () => '\t',
  T: (time) => written('%H:%M:%S', time),
  y: (time) => two(time.getFullYear() % 100),
  Y: (time) => String(time.getFullYear()),
  z: (time) => offset(time),
  '%': () => '%',
};

/** Undefined: the text is neither empty nor one of the forms. */
export function parseTimeFormat(text: string): TimeFormat | undefined {
  const strftime = /^strftime:(.+)$/s.exec(text)?.[1];
  const layout = /^golang:(.+)$/.exec(text)?.[1];
  const format =
    strftime ?? (layout !== undefined && Object.hasOwn(GO_LAYOUTS, layout) ? GO_LAYOUTS[layout] : undefined);
  return format === undefined ? undefined : (timeMs) => written(format, new Date(timeMs));
}

function written(format: string, time: Date): string {
  return format.replace(/%([a-zA-Z%])/g, (whole, letter: string) => CONVERSIONS[letter]?.(time) ?? whole);
}

function dayOfYear(time: Date): number {
  const day = Date.UTC(time.getFullYear(), time.getMonth(), time.getDate());
  return (day - Date.UTC(time.getFullYear(), 0, 0)) / 86_400_000;
}

/** +hhmm, east of Greenwich positive. */
function offset(time: Date): string {
  const minutes = -time.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}
