// `lxc.mount.entry` lines (lxc.container.conf(5), fstab(5)), and Berth's own mount in every container. Pure.
import { mountTarget } from '../../shared/lxc-config/owned-keys.ts';
import type { ConfigPart } from './config-draft.ts';

/** The part of an fstab line that a path with blanks is. */
export function escapeBlanks(path: string): string {
  return path.replace(/[\s\\]/g, (blank) => `\\${blank.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** /pantavisor is the control sockets', and nothing else is mounted there. */
export const pantavisorMount: ConfigPart = (draft, { pantavisorFolder }) => {
  const options = 'bind,ro,nosuid,nodev,noexec,create=dir';
  const line = {
    key: 'lxc.mount.entry',
    value: `${escapeBlanks(pantavisorFolder)} pantavisor none ${options} 0 0`,
  };
  const others = draft.entries.filter(({ key, value }) => key !== line.key || mountTarget(value) !== 'pantavisor');
  return { ...draft, entries: [...others, line] };
};
