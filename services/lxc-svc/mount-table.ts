// What is mounted where, from /proc/self/mountinfo (proc(5)).
import { readFileSync } from 'node:fs';

export interface Mount {
  readonly target: string;
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** `\040` is how a blank is written there. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** In the order of mounting. Lines of another shape are passed over. */
export function parseMountTable(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ', 2);
    const target = before.split(' ')[4];
    const [type = '', source = '', superOptions = ''] = (after ?? '').split(' ');
    if (target === undefined || after === undefined) return [];
    return [
      { target: unescapePath(target), type, source: unescapePath(source), superOptions: superOptions.split(',') },
    ];
  });
}

export function readMountTable(): Mount[] {
  return parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** `path`, and what is below it. */
export function mountsBelow(mounts: readonly Mount[], path: string): Mount[] {
  return mounts.filter(({ target }) => target === path || target.startsWith(`${path}/`));
}
