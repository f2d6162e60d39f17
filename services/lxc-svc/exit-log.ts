// What LXC's log of a run says about how its init ended, and why a start failed. Pure. LXC's exit status says neither.
//
// lxc-start a 20261121025857.227 DEBUG    start - ../src/lxc/start.c:signal_handler:464 - Container init process 20 exited
// lxc-start a 20261121025857.227 INFO     error - ../src/lxc/error.c:lxc_error_set_and_log:31 - Child <20> ended on error (7)
// lxc-start a 20261121025901.200 INFO     error - ../src/lxc/error.c:lxc_error_set_and_log:34 - Child <54> ended on signal Killed(9)
//
// Exit code 0 has the first line only. Times are UTC, and LXC writes the fraction without leading zeros, cut to three digits: `.952` may be
// 95 ms, so a line is never later than it says and up to 0.9 s earlier. (LXC 4.0 and 5.0: src/lxc/start.c, error.c, log.c.)
import type { ExitStatus } from '../../shared/schema/exit.ts';

export interface LoggedExit {
  readonly pid: number;
  readonly status: ExitStatus;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

const LINE = /^\S+ \S+ (\d{14}\.\d{3}) +([A-Z]+) +\S+ - (?:\S+:\d+ - )?(.*)$/;
const EXITED = /^Container init process (\d+) exited$/;
const ENDED = /^Child <(\d+)> ended on (?:error \((\d+)\)|signal .*\((\d+)\))$/;
const STARTED = /^Started ".*" with pid "(\d+)"$/;

interface LogLine {
  readonly atMs: number;
  readonly level: string;
  readonly message: string;
}

/** Those with one of `words`: LXC writes a hundred lines a run, of which hardly any is looked for. */
function linesWith(words: readonly string[], log: string): LogLine[] {
  return log.split('\n').flatMap((line) => {
    if (!words.some((word) => line.includes(word))) return [];
    const [, time = '', level = '', message = ''] = LINE.exec(line) ?? [];
    return time === '' ? [] : [{ atMs: epochOf(time), level, message }];
  });
}

/** `20261121025857.227`, UTC. */
function epochOf(time: string): number {
  const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((start) =>
    Number(time.slice(start, start === 0 ? 4 : start + 2)),
  );
  const ms = Number(time.slice(15));
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day ?? 1, hour ?? 0, minute ?? 0, second ?? 0, ms);
}

/** The last end of that pid in the log, which was last written at `writtenMs` (a tick late at worst); undefined when the log does not tell. */
export function loggedExit(log: string, pid: number, writtenMs: number): LoggedExit | undefined {
  let found: LoggedExit | undefined;
  for (const { atMs, message } of linesWith(['Container init process ', 'Child <'], log)) {
    const [, exited] = EXITED.exec(message) ?? [];
    if (Number(exited) === pid) found = { pid, atMs, status: { kind: 'code', code: 0 } };
    const [, child, code, signal] = ENDED.exec(message) ?? [];
    if (Number(child) !== pid) continue;
    const status: ExitStatus =
      code === undefined ? { kind: 'signal', signal: Number(signal) } : { kind: 'code', code: Number(code) };
    found = { pid, status, atMs: found?.atMs ?? atMs };
  }
  return found && { ...found, atMs: Math.min(found.atMs, writtenMs) };
}

/** The pid of the last init that was started, undefined when none was. */
export function loggedStart(log: string): number | undefined {
  const pids = linesWith(['Started "'], log).map(({ message }) => Number(STARTED.exec(message)?.[1]));
  return pids.findLast((pid) => pid > 1);
}

/** What went wrong first: the lines after it only pass the bad news on. Undefined when the log has no error. */
export function firstError(log: string): string | undefined {
  return linesWith([' ERROR '], log).find(({ level }) => level === 'ERROR')?.message;
}
