// A service's own log: one JSON object a line on stdout, which the supervisor connected to log-svc.
// `src` is the area that people grep for ([ipam], [net], …); log-svc knows the service by the pipe.
import { destination, pino } from 'pino';

export interface Logger {
  fatal(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  debug(message: string, fields?: object): void;
  trace(message: string, fields?: object): void;
  /** Writes what is buffered, now. For the last words before an exit. */
  flush(): void;
}

/** Bytes kept while the pipe is full (log-svc restarting); what comes after that is dropped. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

export function createLogger(src: string, fd = 1): Logger {
  const sink = destination({ fd, sync: false, maxLength: MAX_BUFFERED_BYTES });
  // A pipe whose reader is gone for good must not take the writer with it.
  sink.on('error', () => undefined);
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
    flush: () => sink.flushSync(),
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
