// Whom the device trusts to sign revisions:
//   <etcdir>/pantavisor/pvs/trust/pub.pem       public keys, for signatures that bring no certificates
//   <etcdir>/pantavisor/pvs/trust/<name>.crt    certificates of authorities; or a folder <name> of such files
// The name is PV_SECUREBOOT_TRUSTSTORE's; when that is an absolute path, it is the file or folder itself.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/kernel/system-error.ts';
import type { Pem } from '../../shared/revision/trust-files.ts';
import type { TrustPlaces } from '../../shared/service/trust-places.ts';

export interface TrustStore {
  /** Of the keys and certificates that are there now: who is no longer trusted need not wait for a restart. */
  read(): Promise<TrustContents>;
}

export interface TrustContents extends Pick<Pem, 'keys' | 'roots'> {
  /** Files that should be there or could not be read, for people. */
  readonly warnings: readonly string[];
}

/** All authorities of a whole system are a fifth of it. */
const MAX_BYTES = 1024 * 1024;

export function openTrustStore({ folder, store, isPath }: TrustPlaces): TrustStore {
  const candidates = isPath ? [store] : [`${store}.crt`, store];
  return {
    async read() {
      const keys = await readAll([join(folder, 'pub.pem')]);
      const roots = await readAll(await filesOf(candidates));
      const warnings = [...keys.warnings, ...roots.warnings];
      return { keys: keys.keys, roots: roots.roots, warnings };
    },
  };
}

/** Of the first that is there: itself, or what a folder holds. */
async function filesOf(candidates: readonly string[]): Promise<readonly string[]> {
  for (const path of candidates) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true) {
      if (found !== undefined) return [path];
      continue;
    }
    const names = await readdir(path).catch(() => []);
    return names
      .filter((name) => /\.(?:crt|pem)$/.test(name))
      .sort()
      .map((name) => join(path, name));
  }
  return [];
}

async function readAll(paths: readonly string[]): Promise<TrustContents> {
  const all = await Promise.all(paths.map(readOne));
  return {
    keys: all.flatMap(({ keys }) => keys),
    roots: all.flatMap(({ roots }) => roots),
    warnings: all.flatMap(({ warnings }) => warnings),
  };
}

async function readOne(path: string): Promise<TrustContents> {
  const refused = (reason: string): TrustContents => ({ keys: [], roots: [], warnings: [`${path} ${reason}`] });
  try {
    const { readPem } = await import('../../shared/revision/trust-files.ts');
    if ((await stat(path)).size > MAX_BYTES) return refused(`is longer than ${MAX_BYTES} bytes and was not read`);
    const { keys, roots, unreadable } = readPem(await readFile(path, 'latin1'));
    if (keys.length + roots.length + unreadable === 0) return refused('holds no certificate and no public key');
    return { keys, roots, warnings: unreadable === 0 ? [] : [`${path} has ${unreadable} parts that cannot be read`] };
  } catch (error) {
    // A device has one of both kinds; a signature that needs the other one says so.
    if (errorCode(error) === 'ENOENT') return { keys: [], roots: [], warnings: [] };
    return refused(`cannot be read by ${process.getuid?.()}: ${String(error)}; it must be readable by all`);
  }
}
