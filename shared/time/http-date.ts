// A moment as HTTP has it (RFC 9110, 5.6.7: IMF-fixdate), by arithmetic.

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number): string => (value < 10 ? `0${value}` : String(value));

/** What Date's toUTCString() answers for `timeMs`, of years with four digits, without what iso-time.ts says that it costs. */
export function httpDate(timeMs: number): string {
  const time = new Date(timeMs);
  const day = `${DAYS[time.getUTCDay()]}, ${two(time.getUTCDate())} ${MONTHS[time.getUTCMonth()]}`;
  const year = String(time.getUTCFullYear()).padStart(4, '0');
  return `${day} ${year} ${two(time.getUTCHours())}:${two(time.getUTCMinutes())}:${two(time.getUTCSeconds())} GMT`;
}

/** The same, computed once a second: a server says it with each answer. */
export function secondsOf(write: (timeMs: number) => string): (timeMs: number) => string {
  let second = Number.NaN;
  let written = '';
  return (timeMs) => {
    const asked = Math.floor(timeMs / 1_000);
    if (asked !== second) {
      second = asked;
      written = write(timeMs);
    }
    return written;
  };
}
