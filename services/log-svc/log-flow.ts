// The two sides of the service: what every source of log text hands on, and what every output takes.
import type { HealthReason } from '../../shared/schema/health.ts';
import type { ContainerLogSource } from '../../shared/schema/logs.ts';

export type Level = 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'FATAL';

/** Who speaks: known by the pipe or socket that the message came through, never by what it says. */
export interface LogOrigin {
  readonly kind: 'service' | 'container';
  readonly name: string;
}

/** One message of a service of ours, or one that a container sent to a socket of its own. */
export interface LogMessage {
  /** Milliseconds since 1970-01-01 UTC, with a fraction where the sender gave one: a double holds a quarter of a microsecond. */
  readonly timeMs: number;
  readonly level: Level;
  readonly origin: LogOrigin;
  /** The area or program that people grep for; what the sender says, so neither a file name nor safe to print. */
  readonly src: string;
  /** Of bounded length; may hold anything, line breaks and control characters too. */
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log of a container that is carried along as it is, byte by byte. */
export interface ContainerLog {
  readonly container: string;
  readonly source: ContainerLogSource;
}

/** Both return when everything is handed to the kernel, or given up and counted: the caller may forget it. Neither throws. */
export interface LogSink {
  messages(batch: readonly LogMessage[]): void;
  /** The buffer is the caller's again after the call. */
  bytes(log: ContainerLog, bytes: Buffer): void;
}

export interface LogSource {
  /** Called once, when it is known where things belong. Nothing is taken from the source before. */
  start(sink: LogSink): void;
  /** Hands on what can be read right now, then lets go. Also when it was never started. */
  stop(): void;
  /** What of it cannot be read. */
  troubles(): readonly HealthReason[];
}

export type Opened = { readonly ok: true } | { readonly ok: false; readonly path: string; readonly reason: string };

export interface LogOutput extends LogSink {
  /** What comes from now on belongs to this revision. Also done, as far as possible, when the answer is an error. */
  openRevision(revision: string): Opened;
  /** Called every few seconds: time to notice what others did to the files. */
  refresh(): void;
  /** What of it cannot be written. */
  troubles(): readonly HealthReason[];
  close(): void;
}
