// Which build runs: the installer puts each into a folder that is named after its version and its files. Pure.
import { basename } from 'node:path';

/** `program`: the folder with the bundles. Undefined where nobody installed it, as in a clone or a sandbox. */
export function buildName(program: string, version: string): string | undefined {
  const name = basename(program);
  return name.startsWith(`${version}-`) ? name : undefined;
}
