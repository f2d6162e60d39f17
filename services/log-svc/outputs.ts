// Puts together the outputs that the configuration names: any of them, beside each other.
import type { HealthReason } from '../../shared/schema/health.ts';
import type { WrittenPlace } from './carried-bytes.ts';
import { createFileTree } from './file-tree.ts';
import { createLineCutter } from './line-cutter.ts';
import type { Level, LogMessage, LogOutput, LogSink } from './log-flow.ts';
import { type FolderListener, openLogFolder } from './log-folder.ts';
import type { RetentionSettings } from './retention.ts';
import { createSingleFile } from './single-file.ts';
import { createStdout } from './stdout-output.ts';
import { stdoutWriter, type Writer } from './stdout-writer.ts';
import type { TimeFormat } from './time-format.ts';

export type OutputName = 'filetree' | 'singlefile' | 'stdout' | 'stdout.pantavisor' | 'stdout.containers' | 'nullsink';

export interface LogSettings {
  readonly outputs: readonly OutputName[];
  /** Of messages that have one; what a container writes as bytes has none. */
  readonly level: Level;
  /** Whether anything of containers is kept. */
  readonly capture: boolean;
  readonly retention: RetentionSettings;
  /** Undefined: RFC 3339. */
  readonly formats: {
    readonly filetree: TimeFormat | undefined;
    readonly singlefile: TimeFormat | undefined;
    readonly stdout: TimeFormat | undefined;
  };
}

export interface OutputPlaces {
  /** <storage>/logs */
  readonly root: string;
  readonly compressWorker: string | undefined;
  /** Undefined: there is none, and outputs to it are left out. */
  readonly stdoutFd: number | undefined;
  /** What Outputs.pending answered in an earlier life. */
  readonly pending: Readonly<Record<string, string>>;
  /** What Outputs.written answered in an earlier life. */
  readonly written: Readonly<Record<string, WrittenPlace>>;
  readonly listener: FolderListener;
}

export interface Outputs extends LogOutput {
  /** Beginnings of lines that no output has yet. */
  pending(): Readonly<Record<string, string>>;
  /** See LogFolder.written. */
  written(): Readonly<Record<string, WrittenPlace>>;
}

type Lines = (batch: readonly LogMessage[]) => void;

const LEVELS: readonly Level[] = ['FATAL', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'];

export function openOutputs(settings: LogSettings, places: OutputPlaces): Outputs {
  const { outputs, formats, capture } = settings;
  const { root, compressWorker, stdoutFd, written, listener } = places;
  const isFile = outputs.includes('filetree') || outputs.includes('singlefile');
  const { retention } = settings;
  const folder = isFile ? openLogFolder({ root, retention, compressWorker, written, listener }) : undefined;
  const tree: LogSink | undefined =
    folder !== undefined && outputs.includes('filetree') ? createFileTree(folder, formats.filetree) : undefined;
  const lines: Lines[] = [];
  if (folder !== undefined && outputs.includes('singlefile')) lines.push(createSingleFile(folder, formats.singlefile));
  const shown = shownOnStdout(outputs);
  const stdout =
    stdoutFd === undefined || shown === undefined
      ? undefined
      : createStdout(stdoutFd, stdoutWriter(stdoutFd, loadSend), formats.stdout);
  if (stdout !== undefined) lines.push((batch) => stdout.messages(batch.filter((message) => shown?.(message))));
  // The level is about what Berth says; containers choose theirs themselves.
  const isWanted = ({ level, origin }: LogMessage): boolean =>
    origin.kind === 'container' ? capture : LEVELS.indexOf(level) <= LEVELS.indexOf(settings.level);
  const cutter =
    lines.length === 0 ? undefined : createLineCutter((batch) => toAll(lines, batch.filter(isWanted)), places.pending);

  return {
    messages(all) {
      const batch = all.filter(isWanted);
      if (batch.length === 0) return;
      tree?.messages(batch);
      toAll(lines, batch);
    },
    bytes(log, bytes) {
      if (!capture) return;
      tree?.bytes(log, bytes);
      cutter?.bytes(log, bytes);
    },
    openRevision: (revision) => folder?.openRevision(revision) ?? { ok: true },
    refresh() {
      cutter?.finishOld();
      folder?.refresh();
    },
    troubles: (): readonly HealthReason[] => [...(folder?.troubles() ?? []), ...(stdout?.troubles() ?? [])],
    pending: () => cutter?.pending() ?? {},
    written: () => folder?.written() ?? {},
    close() {
      cutter?.finishAll();
      stdout?.close();
      folder?.close();
    },
  };
}

async function loadSend(): Promise<Writer> {
  return (await import('../../shared/kernel/libc.ts')).sendNow;
}

function toAll(outputs: readonly Lines[], batch: readonly LogMessage[]): void {
  for (const output of outputs) output(batch);
}

/** Undefined: nothing is. */
function shownOnStdout(outputs: readonly OutputName[]): ((message: LogMessage) => boolean) | undefined {
  const ours = outputs.includes('stdout') || outputs.includes('stdout.pantavisor');
  const theirs = outputs.includes('stdout') || outputs.includes('stdout.containers');
  return ours || theirs ? ({ origin }) => (origin.kind === 'container' ? theirs : ours) : undefined;
}
