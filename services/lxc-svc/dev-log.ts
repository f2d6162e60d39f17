// /dev/log of a container: a link to the log socket below /pantavisor. Pure.
import { hasAutodev } from '../../shared/lxc-config/autodev.ts';
import type { ConfigDraft, ConfigLine, ConfigSettings } from './config-draft.ts';

const TARGET = '/pantavisor/dev-log';
/**
 * A link, because a socket that is mounted itself would be dead after a restart of Berth: its successor has another inode, and only
 * the folder around it shows that. LXC's tmpfs on /dev is there when the hook runs, and nothing of the container yet, so no link of
 * the image is followed. Whoever mounts something of their own on /dev/log keeps it.
 *
 * LXC gives it to a shell, `exec` before it and arguments of its own behind it (run_script_argv() in src/lxc/conf.c): the first word
 * makes of that `exec` nothing, and the last takes the arguments away. So it is one shell, not two.
 */
const HOOK = `3>&-; ln -sfn ${TARGET} "$LXC_ROOTFS_MOUNT/dev/log" || : #`;

/**
 * With `lxc.autodev = 0` /dev is the container's own: only where it lies in its root file system itself, which nobody else has, not behind
 * a link, which leads into the host here, nor on a mount, which may be the host's /dev; and where the name is free.
 */
const OWN_DEV_HOOK = `/bin/sh -c '${[
  'root="$(cd -P "$LXC_ROOTFS_MOUNT" && pwd -P)" && cd -P "$root/dev"',
  '[ "$(pwd -P)" = "$root/dev" ] && [ "$(stat -c %d .)" = "$(stat -c %d "$root")" ]',
  `[ ! -e log ] && [ ! -L log ] && ln -s ${TARGET} log || :`,
].join(' && ')}'`;

export function devLog(draft: ConfigDraft, settings: Pick<ConfigSettings, 'devLog'>): ConfigDraft {
  if (!settings.devLog) return draft;
  const line: ConfigLine = hasAutodev(draft.entries)
    ? { key: 'lxc.hook.autodev', value: HOOK }
    : { key: 'lxc.hook.mount', value: OWN_DEV_HOOK };
  return { ...draft, entries: [...draft.entries, line] };
}
