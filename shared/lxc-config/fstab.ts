// The file that `lxc.mount.fstab` names (fstab(5)), as the `lxc.mount.entry` lines that say the same. In: its text, where it stands. Pure.
import type { LxcEntry, ParsedLxcConfig } from './entry.ts';

const ENTRY = 'lxc.mount.entry';

/** getmntent(3) passes over it, also where it is the value of a `lxc.mount.entry`: LXC writes these into a file first. */
export function isMountComment(line: string): boolean {
  return /^[ \t]*#/.test(line);
}

/** Empty lines and comments are passed over, as by getmntent(3). What else a line says is checked where entries are. */
export function readFstab(text: string, source: string): ParsedLxcConfig {
  const lines = text.split('\n').map((row, index): LxcEntry => {
    const value = row.replace(/^[ \t]+|(?<![ \t\r])[ \t\r]+$/g, '');
    return { key: ENTRY, value, line: index + 1, source };
  });
  const entries = lines.filter(({ value }) => value !== '' && !isMountComment(value));
  const reason = 'holds a NUL character or a carriage return: remove it';
  const problems = entries.filter(({ value }) => /[\0\r]/.test(value)).map(({ line }) => ({ line, source, reason }));
  return { entries, problems };
}

/** LXC mounts what is in the file before all entries, and none of these lines takes it back. */
export function withMounts(entries: readonly LxcEntry[], mounts: readonly LxcEntry[]): readonly LxcEntry[] {
  const cleared = entries.findLastIndex(({ key, value }) => key === ENTRY && value === '');
  return entries.toSpliced(cleared + 1, 0, ...mounts);
}
