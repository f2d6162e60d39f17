// Finds the files of a log that are being written, in folders as log-svc fills them. In: a folder, whose log; out: paths, or why there are none.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isPartName, parseRotatedName } from '../../services/log-svc/rotated-name.ts';
import { printable } from './failure.ts';

/** Berth's own. */
const OWN = 'pantavisor';

export type LogFiles =
  | { readonly kind: 'found'; readonly files: readonly string[] }
  | { readonly kind: 'none'; readonly why: string };

/** `folder`: all logs, by revision and then by `name`. */
export function logFilesOf(folder: string, name = OWN): LogFiles {
  const current = join(folder, 'current');
  if (!existsSync(current)) return none(notHere(current, name));
  const names = readdirSync(current, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? entry.name : [],
  );
  if (names.includes(name)) return filesBelow(join(current, name), `'${printable(name)}'`);
  return none(`no log of '${printable(name)}'. There are: ${names.sort().join(', ')}.`);
}

/** A sandbox has its storage elsewhere than the host, and only whoever began it knows where. */
function notHere(current: string, name: string): string {
  const there = `<its --storage>/logs/current/${printable(name)}`;
  return `${current}: not here, but where the device is; a sandbox has it in ${there}`;
}

/** `folder`: what a container finds, all logs with role mgmt, and else only its own, which it need not name. */
export function logFilesInContainer(folder: string, name: string | undefined): LogFiles {
  if (existsSync(join(folder, 'current'))) return logFilesOf(folder, name);
  return name === undefined
    ? filesBelow(folder, 'this container')
    : none(`only this container's own log is here, without role mgmt: leave out '${printable(name)}'`);
}

function filesBelow(folder: string, whose: string): LogFiles {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && parseRotatedName(entry.name) === undefined && !isPartName(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return files.length === 0 ? none(`${whose} has logged nothing yet`) : { kind: 'found', files: files.sort() };
}

function none(why: string): LogFiles {
  return { kind: 'none', why };
}
