// What a container's console and LXC said lay beside the folder `lxc` once, where it lies now: moved when the folder of logs is opened.
//
// <storage>/logs/<rev>/<container>/console.log         → <rev>/<container>/lxc/console.log
// <storage>/logs/<rev>/<container>/lxc.log.000001.gz   → <rev>/<container>/lxc/lxc.log.000001.gz
// <storage>/logs/<rev>/<container>/messages.log        → <rev>/<container>/messages.log.000001, as nobody writes there any more
import { closeSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { nextNumber } from './bounded-file.ts';
import type { WrittenPlace } from './carried-bytes.ts';
import { scanFolder } from './folder-scan.ts';
import { openLines } from './line-files.ts';
import { parseRotatedName, rotatedName } from './rotated-name.ts';
import type { StoredFile } from './size-budget.ts';

const FORMER_MESSAGES = /^(?:locals\/[^/]+|(?!locals\/)[^/]+)\/[^/]+\/messages\.log$/;
const FORMER = /^((?:locals\/[^/]+|(?!locals\/)[^/]+)\/[^/]+)\/((?:console|lxc)\.log(?:\.\d{6,}(?:\.gz)?)?)$/;

/** Undefined: `path`, below the folder, is where it was. */
function nameNow(path: string): string | undefined {
  const [, container, file] = FORMER.exec(path) ?? [];
  return container === undefined ? undefined : `${container}/lxc/${file}`;
}

/** As they were saved, by the paths of now: a renamed file keeps its inode. */
export function placesNow(written: Readonly<Record<string, WrittenPlace>>): Map<string, WrittenPlace> {
  const entries = Object.entries(written);
  const former = entries.flatMap(([path, place]): [string, WrittenPlace][] => {
    const now = nameNow(path);
    return now === undefined ? [] : [[now, place]];
  });
  // Only a build before this one saves them, so they are newer than what else there is of the same file.
  return new Map([...entries.filter(([path]) => nameNow(path) === undefined), ...former]);
}

/** Never throws: what cannot be moved stays where it is until the next time, and `say` hears why. */
export function moveFormer(root: string, say: (line: string) => void): void {
  const files = scanFolder(root);
  const logs = new Map<string, StoredFile[]>();
  for (const file of files) {
    const now = nameNow(file.path);
    if (now === undefined) continue;
    const log = parseRotatedName(now)?.base ?? now;
    logs.set(log, [...(logs.get(log) ?? []), file]);
  }
  const attempt = (what: string, move: () => void): void => {
    try {
      move();
    } catch (error) {
      say(`${what}: ${reasonOf(error)}`);
    }
  };
  for (const { path } of files)
    if (FORMER_MESSAGES.test(path)) attempt(`${path} stays as it is, not rotated`, () => rotateLines(join(root, path)));
  for (const [log, former] of logs) {
    const there = files.find(({ path }) => path === log);
    attempt(`what lies in ${join(root, log, '../..')} is not moved to ${join(root, log)}`, () =>
      moveLog(root, join(root, log), former, there),
    );
  }
}

/** Of a file that nobody will write to: its last line is made whole, as in every rotated file of lines. */
function rotateLines(path: string): void {
  closeSync(openLines(path, false, 0).fd);
  renameSync(path, rotatedName(path, nextNumber(path)));
}

/**
 * By age, each file by one rename: a kill in between leaves the younger ones for the next time. Nothing takes another's place: `there`
 * is one when builds took turns, and the younger of both is then the one to go on with.
 */
function moveLog(root: string, path: string, former: readonly StoredFile[], there: StoredFile | undefined): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true });
  if (!lstatSync(folder).isDirectory()) throw new Error(`${folder} is no folder`);
  const current = former.find(({ path: old }) => basename(old) === basename(path));
  const rotated = former.flatMap((file) => {
    const name = parseRotatedName(file.path);
    return name === undefined ? [] : [{ ...name, path: join(root, file.path) }];
  });
  const compressed = new Set(rotated.filter((file) => file.compressed).map(({ number }) => number));
  const toRotated = (from: string, atLeast: number, suffix: string): void =>
    renameSync(from, `${rotatedName(path, Math.max(atLeast, nextNumber(path)))}${suffix}`);

  if (there !== undefined && current !== undefined && there.changedMs < current.changedMs) toRotated(path, 0, '');
  for (const file of rotated.sort((a, b) => a.number - b.number)) {
    // The compressed one got its name when it was whole; only a crash leaves both.
    if (!file.compressed && compressed.has(file.number)) rmSync(file.path, { force: true });
    else toRotated(file.path, file.number, file.compressed ? '.gz' : '');
  }
  if (current === undefined) return;
  if (existsSync(path)) toRotated(join(root, current.path), 0, '');
  else renameSync(join(root, current.path), path);
}
