// `lxc.mount.entry` lines (lxc.container.conf(5), fstab(5)). Pure.

/** The part of an fstab line that a path with blanks is. */
export function escapeBlanks(path: string): string {
  return path.replace(/[\s\\]/g, (blank) => `\\${blank.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
