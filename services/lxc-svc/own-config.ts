// Reads a container's own LXC configuration from its revision, with what it includes from its own folder.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MAX_CONFIG_BYTES, type ParsedLxcConfig, parseLxcConfig } from '../../shared/lxc-config/parse.ts';

function readBounded(path: string): string {
  const { size } = statSync(path);
  if (size > MAX_CONFIG_BYTES)
    throw new Error(`${path} has ${size} bytes, a configuration at most ${MAX_CONFIG_BYTES}`);
  return readFileSync(path, 'utf8');
}

/** Throws Node's system errors when `path` cannot be read. */
export function readOwnConfig(path: string): ParsedLxcConfig {
  return parseLxcConfig(readBounded(path), path, (included) => {
    try {
      // Not before: most include nothing.
      const folder = realpathSync.native(dirname(path));
      const real = realpathSync.native(resolve(folder, included));
      return real.startsWith(`${folder}/`) ? readBounded(real) : undefined;
    } catch {
      return undefined;
    }
  });
}
