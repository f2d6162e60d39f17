// Options of binds that LXC does not heed: beside `ro` it leaves out all that a bind is to forbid. Who is bound `remount`, as `remount` of a
// revision has it, is therefore bound by Berth first, with these options, and LXC's bind of that has them, too. In: entries as LXC is given them.
// Out: those with the place where Berth has bound their source.
import { existsSync } from 'node:fs';
import {
  ATTR_ATIME,
  ATTR_NOATIME,
  ATTR_NODEV,
  ATTR_NODIRATIME,
  ATTR_NOEXEC,
  ATTR_NOSUID,
  ATTR_STRICTATIME,
  type MountAttributes,
} from '../../shared/kernel/mount-attributes.ts';
import { fieldsOf, withFields } from '../../shared/lxc-config/mount-entries.ts';
import type { ConfigLine } from './config-draft.ts';

/** What is not forbidden by a source stays so: `suid` and the like need nothing. */
const FORBIDDING: ReadonlyMap<string, MountAttributes> = new Map([
  ['nosuid', { set: ATTR_NOSUID, clear: 0 }],
  ['nodev', { set: ATTR_NODEV, clear: 0 }],
  ['noexec', { set: ATTR_NOEXEC, clear: 0 }],
  ['nodiratime', { set: ATTR_NODIRATIME, clear: 0 }],
  ['noatime', { set: ATTR_NOATIME, clear: ATTR_ATIME }],
  ['relatime', { set: 0, clear: ATTR_ATIME }],
  ['strictatime', { set: ATTR_STRICTATIME, clear: ATTR_ATIME }],
]);

/** Answers where it is bound now. */
export type BindAgain = (source: string, attributes: MountAttributes, isRecursive: boolean) => string;

/** Whether such an option is among these. */
export function forbids(options: Iterable<string>): boolean {
  return [...options].some((option) => FORBIDDING.has(option));
}

/** A source that is not there is LXC's to tell of, and one in the container's own root is there only in the end. */
export function withRemountedBinds(entries: readonly ConfigLine[], bindAgain: BindAgain): readonly ConfigLine[] {
  return entries.map((entry) => {
    if (entry.key !== 'lxc.mount.entry' || !entry.value.includes('remount')) return entry;
    const { source, options } = fieldsOf(entry.value);
    const isBind = (options.has('bind') || options.has('rbind')) && options.has('remount') && !options.has('relative');
    if (!isBind || !forbids(options) || !existsSync(source)) return entry;
    const wanted = [...options].flatMap((option) => FORBIDDING.get(option) ?? []);
    const attributes = wanted.reduce((all, { set, clear }) => ({ set: all.set | set, clear: all.clear | clear }));
    return {
      ...entry,
      value: withFields(entry.value, { source: bindAgain(source, attributes, options.has('rbind')) }),
    };
  });
}
