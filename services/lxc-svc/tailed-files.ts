// Which files of a container are followed, and where their bytes are laid down for the log service. Pure.
import { join } from 'node:path';
import type { ContainerLogFile } from '../../shared/schema/logs.ts';
import type { ContainerPlaces } from './places.ts';

export interface FileLog {
  readonly source: `file:/${string}`;
  readonly path: string;
}

/** In the order of `files`, which is that of the record of what is mounted. */
export function fileLogs({ logs }: ContainerPlaces, files: readonly ContainerLogFile[]): FileLog[] {
  return files.map(({ path }, index) => ({
    source: `file:/${path.slice(1)}`,
    path: join(logs, `file-${index}.log`),
  }));
}
