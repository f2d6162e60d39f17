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
  const [source = '', target = '', , options = ''] = value.trim().split(/\s+/);
  return {
    source: unescapeBlanks(source),
    target: unescapeBlanks(target).replace(/^\/+|\/+$/g, ''),
    options: new Set(options.split(',')),
  };
}
