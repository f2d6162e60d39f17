// Where a source is that a process of its own, or a thread, is to run as this one runs: compiled like this file, or not.
import { dirname, extname, join } from 'node:path';

const HERE = import.meta.filename;

/** `source`: below the repository. */
export const asRun = (source: string): string => join(dirname(HERE), '../..', source.replace(/\.ts$/, extname(HERE)));
