// The two sides of the service: what every source of log text hands on, and what every output takes.
import type { HealthReason } from '../../shared/schema/health.ts';

export type Level = 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'FATAL';

/** One message of a service of ours. */
export interface LogMessage {
  /** Milliseconds since 1970-01-01 UTC. */
  readonly timeMs: number;
  readonly level: Level;
  /** The service, known by the pipe that the message came through. */
  readonly origin: string;
  /** The area that people grep for; what the sender says. */
  readonly src: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log of a container that is carried along as it is, byte by byte. */
export interface ContainerLog {
  readonly container: string;
  readonly source: 'console' | 'lxc';
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
