// rootfs.list: a root filesystem written down, one entry a line. Pure; whether the sources exist is asked elsewhere.
//   file /bin/busybox /usr/bin/busybox|/bin/busybox 0755    the first source that exists; relative: to the list's folder
//   dir /tmp 1777                                           mode 0755 when none is given
//   link /bin/sh busybox                                    a symbolic link and its target
// Blank lines and lines that start with # say nothing. Parent folders appear by themselves, mode 0755.
import { posix } from 'node:path';
import type { Problem } from '../../shared/revision/revision.ts';

export type RootfsEntry =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly sources: readonly string[];
      readonly mode: number;
      readonly line: number;
    }
  | { readonly kind: 'dir'; readonly path: string; readonly mode: number; readonly line: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string; readonly line: number };

export interface RootfsList {
  readonly entries: readonly RootfsEntry[];
  readonly problems: readonly Problem[];
}

/** `name` names the list in problems, as `<name>:<line>`. Codes: BAD_ENTRY, BAD_PATH, BAD_MODE, DUPLICATE_ENTRY, BELOW_LINK. */
export function parseRootfsList(text: string, name: string): RootfsList {
  const entries: RootfsEntry[] = [];
  const problems: Problem[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const words = raw.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#') === true) continue;
    const parsed = parseEntry(words, index + 1, entries);
    if ('kind' in parsed) entries.push(parsed);
    else problems.push({ path: `${name}:${index + 1}`, ...parsed });
  }
  return { entries, problems };
}

type Mistake = Pick<Problem, 'code' | 'message'>;

function parseEntry(words: readonly string[], line: number, before: readonly RootfsEntry[]): RootfsEntry | Mistake {
  const [kind, path, third, fourth, ...rest] = words;
  const written = words.join(' ');
  const wrong: Mistake = {
    code: 'BAD_ENTRY',
    message: `'${written}' is none of: file PATH SOURCE [MODE], dir PATH [MODE], link PATH TARGET`,
  };
  if (path === undefined || rest.length > 0) return wrong;
  const misplaced = checkPath(path, before);
  switch (kind) {
    case 'file': {
      const mode = parseMode(fourth, 0o644);
      if (third === undefined) return wrong;
      if (mode === undefined) return badMode(fourth);
      return misplaced ?? { kind, path, sources: third.split('|'), mode, line };
    }
    case 'dir': {
      const mode = parseMode(third, 0o755);
      if (fourth !== undefined) return wrong;
      if (mode === undefined) return badMode(third);
      return misplaced ?? { kind, path, mode, line };
    }
    case 'link':
      if (third === undefined || fourth !== undefined) return wrong;
      return misplaced ?? { kind, path, target: third, line };
    default:
      return wrong;
  }
}

/** A file below a link would land where the link leads, which while packing is this machine's own root. */
function checkPath(path: string, before: readonly RootfsEntry[]): Mistake | undefined {
  if (!path.startsWith('/') || path.endsWith('/') || path.includes('\0') || posix.normalize(path) !== path) {
    return { code: 'BAD_PATH', message: `'${path}' must be absolute, without '.', '..' and empty parts` };
  }
  if (before.some((entry) => entry.path === path)) {
    return { code: 'DUPLICATE_ENTRY', message: `${path} is listed already` };
  }
  const blocking = before.find((entry) => entry.kind !== 'dir' && path.startsWith(`${entry.path}/`));
  if (blocking !== undefined) {
    return { code: 'BELOW_LINK', message: `${path} is below ${blocking.path}, which is a ${blocking.kind}` };
  }
  const below = before.find((entry) => entry.path.startsWith(`${path}/`));
  if (below === undefined) return undefined;
  return { code: 'DUPLICATE_ENTRY', message: `${path} comes after ${below.path} below it; list it first` };
}

/** Octal, as chmod(1) takes it. */
function parseMode(text: string | undefined, byDefault: number): number | undefined {
  if (text === undefined) return byDefault;
  return /^[0-7]{3,4}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function badMode(text: string | undefined): Mistake {
  return { code: 'BAD_MODE', message: `'${text}' is no mode; write three or four octal digits such as 0755` };
}
