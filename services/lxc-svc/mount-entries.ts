// `lxc.mount.entry` lines (lxc.container.conf(5), fstab(5)). Pure.

/** The part of an fstab line that a path with blanks is. */
export function escapeBlanks(path: string): string {
  return path.replace(/[\s\\]/g, (blank) => `\\${blank.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function unescapeBlanks(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** What a line says; `target`: without slashes at its ends. */
export function fieldsOf(value: string) {
  const [source = '', written = '', type = '', options = ''] = value.trim().split(/\s+/);
  const target = unescapeBlanks(written);
  return {
    source: unescapeBlanks(source),
    target: target.replace(/^\/+|(?<!\/)\/+$/g, ''),
    /** LXC passes over it, unless it begins with the path of the root filesystem. */
    isAbsolute: target.startsWith('/'),
    type,
    options: new Set(options.split(',')),
  };
}

/** The line with these instead of its own. */
export function withFields(
  value: string,
  changed: { readonly source?: string; readonly target?: string; readonly options?: Iterable<string> },
): string {
  const [source = '', target = '', type = 'none', options = '', ...rest] = value.trim().split(/\s+/);
  return [
    changed.source === undefined ? source : escapeBlanks(changed.source),
    changed.target === undefined ? target : escapeBlanks(changed.target),
    type,
    (changed.options === undefined ? options : [...changed.options].join(',')) || 'defaults',
    ...rest,
  ].join(' ');
}
