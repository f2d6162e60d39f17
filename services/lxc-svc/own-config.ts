// Reads a container's own LXC configuration from its revision, with what it includes from its own folder, and its mounts from there or
// from the host.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MAX_CONFIG_BYTES, type ParsedLxcConfig, parseLxcConfig } from '../../shared/lxc-config/parse.ts';

function readBounded(path: string): string {
  const stats = statSync(path);
  // Whoever reads a FIFO waits.
  if (!stats.isFile()) throw new Error(`${path} is no file`);
  if (stats.size > MAX_CONFIG_BYTES)
    throw new Error(`${path} has ${stats.size} bytes, a configuration at most ${MAX_CONFIG_BYTES}`);
  return readFileSync(path, 'utf8');
}

function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Throws Node's system errors when `path` cannot be read. */
export function readOwnConfig(path: string): ParsedLxcConfig {
  const readIncluded = (included: string): string | undefined => {
    // Not before: most include nothing.
    const folder = realpathSync.native(dirname(path));
    const real = realpathSync.native(resolve(folder, included));
    return real.startsWith(`${folder}/`) ? readBounded(real) : undefined;
  };
  return parseLxcConfig(
    readBounded(path),
    path,
    (included) => ifReadable(() => readIncluded(included)),
    (file) => ifReadable(() => readBounded(file)),
  );
}
