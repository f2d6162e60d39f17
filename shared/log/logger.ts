// A service's own log: one JSON object a line on stdout, which the supervisor connected to log-svc.
// `src` is the area that people grep for ([ipam], [net], …); log-svc knows the service by the pipe.
import { pino } from 'pino';
import { lineSink } from './line-sink.ts';

export interface Logger {
  fatal(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  debug(message: string, fields?: object): void;
  trace(message: string, fields?: object): void;
  /** Writes what the pipe takes, now; does not wait for the rest. For the last words before an exit. */
  flush(): void;
}

/** pino's numbers. */
const WARN = 40;

function lossLine(lines: number): string {
  const fields = { level: WARN, time: Date.now(), src: 'log', msg: `lost ${lines} lines here: the log was not read` };
  return `${JSON.stringify(fields)}\n`;
}

/** Neither blocks nor throws, whatever state the reader of `fd` is in; what does not fit is dropped and counted. */
export function createLogger(src: string, fd = 1): Logger {
  const sink = lineSink(fd, lossLine);
  const out = pino({ base: { src }, level: 'debug' }, sink);
  const level =
    (name: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace') =>
    (message: string, fields: object = {}): void =>
      out[name](fields, message);
  return {
    fatal: level('fatal'),
    error: level('error'),
    warn: level('warn'),
    info: level('info'),
    debug: level('debug'),
    trace: level('trace'),
    flush: () => sink.flush(),
  };
}

/** For tests and one-shot commands that have nobody to tell. */
export const silentLogger: Logger = {
  fatal: () => undefined,
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  trace: () => undefined,
  flush: () => undefined,
};
