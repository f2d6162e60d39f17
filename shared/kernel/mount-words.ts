// Paths as the kernel writes them in one word, in /proc/self/mountinfo and /proc/swaps (fs/seq_file.c, mangle_path): `\040` is a blank.

export function escapePath(path: string): string {
  return path.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

export function unescapePath(text: string): string {
  return !text.includes('\\')
    ? text
    : text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
