// In which file what a container said to its sockets goes: one for each source that it names. Pure; containers choose these names, and are
// trusted with nothing: they begin with no dot, have no `/`, look like no rotated file, and there is a bound to how many there are.
import type { LogMessage } from './log-flow.ts';
import { parseRotatedName } from './rotated-name.ts';

const FOLDER = 'syslog';
const UNKNOWN = 'unknown-src';
/** Of those beyond the bound. */
const OTHER = 'other-src';
/** Of one container in one revision; a distribution has a dozen daemons that speak. Each may be as large as a file gets before it is rotated. */
export const MAX_SOURCES = 32;

/** What a name may not have. */
const UNSAFE = /[^\w.+@:~-]/g;

/** Below the revision's folder. */
export function messageFolder(container: string): string {
  return `${container}/${FOLDER}`;
}

/** Whether `file` is one of those. */
export function isMessageFile(file: string): boolean {
  const [, folder, name, ...deeper] = file.split('/');
  return folder === FOLDER && name !== undefined && deeper.length === 0;
}

/** As Pantavisor has it, but for a source with `/`: a folder here could take the place of a file that the container has there. */
function nameOf(src: string): string {
  const parts = src.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..')) return UNKNOWN;
  const name = parts.join('_').replace(UNSAFE, '_').replace(/^\./, '_');
  return parseRotatedName(name) === undefined ? name : `${name}_`;
}

/** By file, in their order. `there`: the names in messageFolder, of rotated files too. */
export function messageFiles(
  container: string,
  batch: readonly LogMessage[],
  there: readonly string[],
): Map<string, LogMessage[]> {
  const names = new Set(there.map((name) => parseRotatedName(name)?.base ?? name));
  const files = new Map<string, LogMessage[]>();
  for (const message of batch) {
    const asked = nameOf(message.src);
    const name = names.has(asked) || names.size < MAX_SOURCES || asked === UNKNOWN ? asked : OTHER;
    names.add(name);
    const file = `${messageFolder(container)}/${name}`;
    const ofFile = files.get(file);
    if (ofFile === undefined) files.set(file, [message]);
    else ofFile.push(message);
  }
  return files;
}
