// What disks say of how they are mounted and formatted: nothing of it is done here, and who wrote it should know. Pure.
import type { DiskAt } from './disk-document.ts';
import type { Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

/** With the older names that Pantavisor has had for some of them. */
const MOUNTING = ['mount_options', 'mount_ops', 'options'] as const;
const FORMATTING = ['format_options', 'format_ops'] as const;

/** Warning: NOT_SUPPORTED. */
export function diskWarnings(list: readonly DiskAt[]): readonly Problem[] {
  return list.flatMap(({ document, path }) => {
    const disk = `disk '${document.name ?? '?'}'`;
    const of = (keys: readonly (keyof typeof document)[], what: string): readonly Problem[] =>
      keys.flatMap((key): Problem[] => {
        const value = document[key];
        if (value === undefined || value === null || value === '') return [];
        return [{ path: `${path}.${key}`, code: 'NOT_SUPPORTED', message: `is ${shown(value)}, ${what}` }];
      });
    return [
      ...of(
        ['mount_target'],
        `where the host has nothing of ${disk}: a container sees a volume on it where its lxc.mount.entry mounts that`,
      ),
      ...of(MOUNTING, `which is not heeded: ${disk} is mounted, or turned on, as the kernel does it by itself`),
      ...of(FORMATTING, `which is not heeded: ${disk} is formatted as its program does it by itself, once, when empty`),
    ];
  });
}
