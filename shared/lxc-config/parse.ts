// Reads and writes LXC's configuration format (lxc.container.conf(5)) as LXC 5.0 does, keeping where each line came from. Pure.
import type { LxcEntry, LxcProblem, ParsedLxcConfig } from './entry.ts';
import { isMountComment, readFstab, withMounts } from './fstab.ts';

/** Undefined: there is no such file. */
type ReadText = (path: string) => string | undefined;

/** Of one file. A configuration is a few KiB; a squashfs named by mistake is not read into memory. */
export const MAX_CONFIG_BYTES = 1024 * 1024;
/** Includes in all: files that include each other several times over multiply. */
const MAX_INCLUDES = 32;
/** Lines of a configuration with its includes; LXC has no limit, a device's memory has. */
const MAX_ENTRIES = 10_000;

interface Place {
  readonly line: number;
  readonly source: string;
}

/**
 * A line that does not start with `lxc.` after its blanks is no configuration: comments, empty lines, and the keys of others, which
 * LXC ignores too. `#` later in a line belongs to the value. Blanks are spaces and tabs; a carriage return ends a line. Never throws.
 * `source` ends in the file's name in the container's folder. `readInclude` is given paths relative to that, which do not lead out of it,
 * `readHostFile` absolute ones. Without `readHostFile` nobody looks at what `lxc.mount.fstab` names on the host.
 */
export function parseLxcConfig(
  text: string,
  source: string,
  readInclude?: ReadText,
  readHostFile?: ReadText,
): ParsedLxcConfig {
  const entries: LxcEntry[] = [];
  const problems: LxcProblem[] = [];
  let includes = 0;
  let isFull = false;
  readLines(text, [source]);
  const fstab = entries.findLast(({ key }) => key === 'lxc.mount.fstab');
  if (fstab === undefined) return { entries, problems };
  const others = entries.filter(({ key }) => key !== 'lxc.mount.fstab');
  return { entries: withMounts(others, mountsIn(fstab, others.length)), problems };

  function mountsIn({ key, value, line, source: from }: LxcEntry, others: number): readonly LxcEntry[] {
    const isOfHost = value.startsWith('/');
    if (value === '' || (isOfHost && readHostFile === undefined)) return [];
    const path = isOfHost ? value : pathInFolder(value);
    const body = path === undefined ? undefined : (isOfHost ? readHostFile : readInclude)?.(path);
    const refuse = (reason: string) => problems.push({ line, source: from, reason: `${key} = ${value}: ${reason}` });
    if (path === undefined || body === undefined) {
      refuse(isOfHost ? 'this host has no such file, or it cannot be read' : refusal(path, []));
      return [];
    }
    const read = readFstab(body, path);
    problems.push(...read.problems);
    if (others + read.entries.length <= MAX_ENTRIES) return read.entries;
    refuse(`with it there are more than ${MAX_ENTRIES} lines`);
    return [];
  }

  /** `files`: the one that is read, after those that led to it. */
  function readLines(body: string, files: readonly string[]): void {
    const name = files.at(-1) ?? source;
    for (const [index, row] of body.split('\n').entries()) {
      const place = { line: index + 1, source: name };
      for (const written of row.split('\r')) readLine(written, place, files);
      if (!row.includes('\0')) continue;
      problems.push({ ...place, reason: 'holds a NUL character, where LXC stops reading: remove it' });
      return;
    }
  }

  function readLine(written: string, place: Place, files: readonly string[]): void {
    const trimmed = trimBlanks(written);
    if (!trimmed.startsWith('lxc.')) {
      // A byte order mark, a space of another script: it looks like a setting, and LXC passes over it without a word.
      const hidden = written.trim().startsWith('lxc.') ? trimmed.charCodeAt(0).toString(16).toUpperCase() : undefined;
      if (hidden === undefined) return;
      const character = `U+${hidden.padStart(4, '0')}`;
      problems.push({ ...place, reason: `starts with the invisible character ${character}: LXC skips the line` });
      return;
    }
    if (entries.length + problems.length >= MAX_ENTRIES) {
      if (!isFull) problems.push({ ...place, reason: `more than ${MAX_ENTRIES} lines` });
      isFull = true;
      return;
    }
    const equals = trimmed.indexOf('=');
    if (equals === -1) {
      problems.push({ ...place, reason: `"${trimmed}" has no "=": write key = value` });
      return;
    }
    const key = trimBlanks(trimmed.slice(0, equals));
    const value = unquote(trimBlanks(trimmed.slice(equals + 1)));
    if (key === 'lxc.include') includeFile(value, place, files);
    else if (key !== 'lxc.mount.entry' || !isMountComment(value)) entries.push({ key, value, ...place });
  }

  function includeFile(written: string, place: Place, files: readonly string[]): void {
    includes += 1;
    const path = pathInFolder(written);
    const body = path === undefined || includes > MAX_INCLUDES || isOpen(path, files) ? undefined : readInclude?.(path);
    if (path !== undefined && body !== undefined) {
      readLines(body, [...files, path]);
    } else {
      problems.push({ ...place, reason: `lxc.include = ${written}: ${refusal(path, files)}` });
    }
  }

  function refusal(path: string | undefined, files: readonly string[]): string {
    if (path === undefined) return 'leads out of the container’s own folder; put the file there and name it';
    if (isOpen(path, files)) {
      return `it includes itself, ${[...files.slice(1), path].join(' → ')}; remove one of these lines`;
    }
    if (includes > MAX_INCLUDES) return `more than ${MAX_INCLUDES} includes`;
    return 'no such file in the container’s own folder';
  }

  /** The first file may have been given with a path before its name. */
  function isOpen(path: string, files: readonly string[]): boolean {
    return files.slice(1).includes(path) || source.split('/').at(-1) === path;
  }
}

/** Relative to the container's folder; undefined when it leads out of it, or names nothing. */
function pathInFolder(written: string): string | undefined {
  const parts = written.split('/').filter((part) => part !== '.' && part !== '');
  if (written.startsWith('/') || parts.includes('..') || parts.length === 0) return undefined;
  return parts.join('/');
}

/** What LXC takes for blanks: lxc_char_left_gc() and lxc_char_right_gc() in src/lxc/parse.c. */
function trimBlanks(text: string): string {
  // Looking behind keeps blanks inside a line from being tried again at each of them.
  return text.replace(/^[ \t]+|(?<![ \t])[ \t]+$/g, '');
}

function unquote(value: string): string {
  const [first] = value;
  const isQuoted = value.length > 1 && (first === '"' || first === "'") && value.endsWith(first);
  return isQuoted ? value.slice(1, -1) : value;
}

/** The text that LXC reads as these entries. Values with line breaks cannot be written: throws. */
export function formatLxcConfig(entries: readonly Pick<LxcEntry, 'key' | 'value'>[]): string {
  const lines = entries.map(({ key, value }) => {
    if (/[\n\r\0]/.test(key + value)) throw new Error(`${key}: the value holds a line break`);
    // LXC takes one pair of quotes away, and blanks outside it.
    const isExact = unquote(trimBlanks(value)) === value;
    return `${key} = ${isExact ? value : `"${value}"`}\n`;
  });
  return lines.join('');
}
