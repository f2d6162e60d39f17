// /dev/log of a container: a link to the log socket below /pantavisor. Pure.
import type { ConfigLine, ConfigPart } from './config-draft.ts';

const TARGET = '/pantavisor/dev-log';
/**
 * A link, because a socket that is mounted itself would be dead after a restart of Berth: its successor has another inode, and only
 * the folder around it shows that. LXC's tmpfs on /dev is there when the hook runs, and nothing of the container yet, so no link of
 * the image is followed. Whoever mounts something of their own on /dev/log keeps it. LXC adds arguments of its own to the command.
 */
const HOOK = `/bin/sh -c 'ln -sfn ${TARGET} "$LXC_ROOTFS_MOUNT/dev/log" || :'`;

export const devLog: ConfigPart = (draft, settings) => {
  if (!settings.devLog) return draft;
  const autodev = draft.entries.findLast(({ key }) => key === 'lxc.autodev')?.value ?? '1';
  if (autodev === '0') {
    const note = `berth: no /dev/log, as lxc.autodev is 0; syslog can be sent to ${TARGET}`;
    return { ...draft, notes: [...draft.notes, note] };
  }
  const line: ConfigLine = { key: 'lxc.hook.autodev', value: HOOK };
  return { ...draft, entries: [...draft.entries, line] };
};
