// Reads LXC's configuration format (lxc.container.conf(5)) as LXC 5.0 does, keeping where each line came from. Pure.

export interface LxcEntry {
  /** Starts with `lxc.`. */
  readonly key: string;
  /** Without surrounding blanks and one pair of quotes. Empty: clears what a list had so far. */
  readonly value: string;
  /** From 1, in `source`. */
  readonly line: number;
  /** The file's name as given to the parser, or as an include named it. */
  readonly source: string;
}

export interface LxcProblem {
  readonly line: number;
  readonly source: string;
  readonly reason: string;
}

export interface ParsedLxcConfig {
  /** In the order in which LXC would apply them; included lines stand where the include stood. */
  readonly entries: readonly LxcEntry[];
  readonly problems: readonly LxcProblem[];
}

/** The text of a file that `lxc.include` names; undefined when it does not exist or lies outside the container's folder. */
export type ReadInclude = (path: string) => string | undefined;

/** Includes in all; a file that includes itself stops here. */
const MAX_INCLUDES = 32;
/** Lines of a configuration with its includes; LXC has no limit, a device's memory has. */
const MAX_ENTRIES = 10_000;

/**
 * A line that does not start with `lxc.` after its blanks is no configuration: comments, empty lines, and the keys of others, which
 * LXC ignores too. `#` later in a line belongs to the value. Never throws.
 */
export function parseLxcConfig(text: string, source: string, readInclude?: ReadInclude): ParsedLxcConfig {
  const entries: LxcEntry[] = [];
  const problems: LxcProblem[] = [];
  let includes = 0;
  readLines(text, source);
  return { entries, problems };

  function readLines(body: string, name: string): void {
    for (const [index, written] of body.split('\n').entries()) {
      const place = { line: index + 1, source: name };
      const trimmed = written.trim();
      if (!trimmed.startsWith('lxc.')) continue;
      const equals = trimmed.indexOf('=');
      if (equals === -1) {
        problems.push({ ...place, reason: `"${trimmed}" has no "=": write key = value` });
        continue;
      }
      const key = trimmed.slice(0, equals).trimEnd();
      const value = unquote(trimmed.slice(equals + 1).trimStart());
      if (value.includes('\0')) problems.push({ ...place, reason: `the value of ${key} contains a NUL character` });
      else if (key === 'lxc.include') includeFile(value, place);
      else if (entries.length < MAX_ENTRIES) entries.push({ key, value, ...place });
      else if (problems.length === 0) problems.push({ ...place, reason: `more than ${MAX_ENTRIES} lines` });
    }
  }

  function includeFile(path: string, place: { line: number; source: string }): void {
    includes += 1;
    const body = includes <= MAX_INCLUDES ? readInclude?.(path) : undefined;
    if (body === undefined) {
      const why =
        includes <= MAX_INCLUDES ? 'no such file in the container’s own folder' : `more than ${MAX_INCLUDES} includes`;
      problems.push({ ...place, reason: `lxc.include = ${path}: ${why}` });
    } else {
      readLines(body, path);
    }
  }
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
    const isExact = unquote(value.trim()) === value;
    return `${key} = ${isExact ? value : `"${value}"`}\n`;
  });
  return lines.join('');
}
