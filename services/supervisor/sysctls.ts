// Writes the parameters of the kernel that the configuration names. What cannot be set is told, and holds up nothing.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseSysctlName, type SysctlName, type WrittenSysctl } from '../../shared/config/sysctls.ts';
import { statIfThere } from '../../shared/kernel/stat-if-there.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';

/** In their order: of two for one parameter the last holds. */
export function writeSysctls(
  sysctls: readonly WrittenSysctl[],
  warn: (line: string) => void,
  root = '/proc/sys',
): void {
  for (const { name, value } of sysctls) {
    const parsed = parseSysctlName(name);
    if (parsed === undefined) continue;
    try {
      writeNow(join(root, pathOf(root, parsed)), value);
    } catch (error) {
      const reason = reasonOf(error);
      warn(`${name} cannot be set to '${value.slice(0, 100)}': ${reason}`);
    }
  }
}

function pathOf(root: string, { parts, open }: SysctlName): string {
  if (!open) return parts.join('/');
  return parts.reduce((path, part) => {
    const isFolder = statIfThere(join(root, path))?.isDirectory() === true;
    return `${path}${isFolder ? '/' : '_'}${part}`;
  });
}

/** In one write(2), as the kernel wants it. Nothing is made, and what may only be written is not read. */
function writeNow(path: string, value: string): void {
  const fd = openSync(path, constants.O_WRONLY);
  try {
    writeSync(fd, `${value}\n`);
  } finally {
    closeSync(fd);
  }
}
