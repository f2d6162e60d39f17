// Reads a container's own LXC configuration from its revision, with what it includes from its own folder, and its mounts from there or
// from the host.
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { O_PATH, openFromPlace } from '../../shared/kernel/open-inside.ts';
import type { ParsedLxcConfig } from '../../shared/lxc-config/entry.ts';
import { MAX_CONFIG_BYTES, parseLxcConfig } from '../../shared/lxc-config/parse.ts';

/** The service stands still meanwhile, and the host may have anything there: what a file in /proc or /sys says of its size tells nothing. */
function readBounded(path: string): string {
  // The place only: opening does something to a device.
  const place = openSync(path, O_PATH);
  if (!fstatSync(place).isFile()) {
    closeSync(place);
    throw new Error(`${path} is no file`);
  }
  // What would have to be waited for is an error then, EAGAIN.
  const fd = openFromPlace(place, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readToEnd(fd, path);
  } finally {
    closeSync(fd);
  }
}

function readToEnd(fd: number, path: string): string {
  const bytes = Buffer.allocUnsafe(MAX_CONFIG_BYTES + 1);
  for (let length = 0; length < bytes.length; ) {
    const read = readSync(fd, bytes, { offset: length });
    if (read === 0) return bytes.toString('utf8', 0, length);
    length += read;
  }
  throw new Error(`${path} has more than ${MAX_CONFIG_BYTES} bytes, the most of a configuration`);
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
