// Which files of a container are part of its log: `logs` of its run.json, and the two that every container has. Pure.
import type { ContainerLogFile } from '../schema/logs.ts';
import type { Problem } from './revision.ts';
import type { LogDocument } from './run-document.ts';

/** As in Pantavisor, also that they are emptied at 2 MiB; an entry of run.json with the same path replaces them. */
const STANDARD: readonly ContainerLogFile[] = ['/var/log/syslog', '/var/log/messages'].map((path) => ({
  path,
  truncateBytes: 2 * 1024 * 1024,
}));
/** Less would empty a file with every line. */
const MIN_TRUNCATE_BYTES = 4096;

/** Each path once; of two entries with the same one the last counts. */
export function planLogFiles(logs: readonly LogDocument[]): readonly ContainerLogFile[] {
  const files = new Map(STANDARD.map((file) => [file.path, file]));
  for (const entry of logs) if (entry.file !== undefined) files.set(entry.file, fileOf(entry.file, entry));
  return [...files.values()];
}

function fileOf(path: string, { truncate, maxsize }: LogDocument): ContainerLogFile {
  const bytes = Number(maxsize ?? 0);
  const isEmptied = String(truncate) === 'true' && bytes > 0;
  return isEmptied ? { path, truncateBytes: Math.max(MIN_TRUNCATE_BYTES, bytes) } : { path };
}

/** Consoles and LXC's logs are always kept: PV_LOG_CAPTURE is for all of them or none. Warning NOT_SUPPORTED. */
export function logWarnings(path: string, logs: readonly LogDocument[]): readonly Problem[] {
  return logs.flatMap(({ console, lxc }, index) =>
    Object.entries({ console, lxc })
      .filter(([, value]) => value !== undefined && value !== 'enable')
      .map(([key, value]) => {
        const message = `is '${value}'; the log of every container's console and of LXC is kept, unless PV_LOG_CAPTURE is 0`;
        return { path: `${path}.logs[${index}].${key}`, code: 'NOT_SUPPORTED', message };
      }),
  );
}
