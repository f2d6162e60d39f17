// Arguments of args.json that say what of the device a container sees, as lines of its LXC configuration: those of the stock packager (its
// template builtin-lxc-docker), with its defaults. Pure.
import * as z from 'zod/mini';
import { FIELD, FLAG, field, flag, isSet, PAIRS_TEXT, pairs, pairsOf } from './pack-argument-values.ts';

export const mountArguments = {
  PV_RUN_TMPFS_DISABLE: z.optional(flag),
  PV_RUN_TMPFS_PATH: z.optional(field),
  PV_RESOLV_CONF_DISABLE: z.optional(flag),
  PV_RESOLV_CONF_PATH: z.optional(field),
  PV_SECURITY_FULLDEV: z.optional(flag),
  PV_SECURITY_WITH_HOST: z.optional(flag),
  PV_SECURITY_WITH_HOSTPROC: z.optional(flag),
  PV_SECURITY_WITH_STORAGE: z.optional(flag),
  PV_FILEIMPORTS: z.optional(pairs),
  PV_IMPORT_CONFIGVOLUMES: z.optional(pairs),
};
export const MOUNTS_ALLOWED = {
  PV_RUN_TMPFS_DISABLE: FLAG,
  PV_RUN_TMPFS_PATH: FIELD,
  PV_RESOLV_CONF_DISABLE: FLAG,
  PV_RESOLV_CONF_PATH: FIELD,
  PV_SECURITY_FULLDEV: FLAG,
  PV_SECURITY_WITH_HOST: FLAG,
  PV_SECURITY_WITH_HOSTPROC: FLAG,
  PV_SECURITY_WITH_STORAGE: FLAG,
  PV_FILEIMPORTS: PAIRS_TEXT,
  PV_IMPORT_CONFIGVOLUMES: PAIRS_TEXT,
};

const mountsDocument = z.object(mountArguments);
export type MountArguments = z.output<typeof mountsDocument>;

/** `lxc.mount.entry` lines, without the key: those that come before the container's own volumes. */
export function deviceMounts(args: MountArguments): readonly string[] {
  const entries: string[] = [];
  if (isSet(args.PV_SECURITY_FULLDEV)) entries.push('/dev/ dev none bind,rw,create=dir 0 0');
  if (isSet(args.PV_SECURITY_WITH_HOST)) entries.push('/ host none bind,rw,create=dir 0 0');
  if (isSet(args.PV_SECURITY_WITH_HOSTPROC)) entries.push('/proc/ host/proc none bind,rw,create=dir 0 0');
  if (isSet(args.PV_SECURITY_WITH_STORAGE)) entries.push('/storage storage none bind,rw,create=dir 0 0');
  if (!isSet(args.PV_RESOLV_CONF_DISABLE)) {
    // Optional: a device without one has no names to resolve either.
    const place = inRoot(args.PV_RESOLV_CONF_PATH ?? 'etc/resolv.conf');
    entries.push(`/etc/resolv.conf ${place} none bind,ro,optional,create=file 0 0`);
  }
  if (!isSet(args.PV_RUN_TMPFS_DISABLE)) {
    const place = inRoot(args.PV_RUN_TMPFS_PATH ?? 'run');
    entries.push(`tmpfs ${place} tmpfs rw,nodev,relatime,mode=755,create=dir 0 0`);
  }
  return entries;
}

/** Those that come after them: what other containers share. */
export function importMounts(container: string, args: MountArguments): readonly string[] {
  return [
    ...pairsOf(args.PV_FILEIMPORTS).map(
      ([source, place]) => `/exports/${inRoot(source)} ${inRoot(place)} none bind,rw,create=file 0 0`,
    ),
    ...pairsOf(args.PV_IMPORT_CONFIGVOLUMES).map(
      ([source, place]) =>
        `/volumes/${inRoot(source)}/${container} ${inRoot(place)} none bind,rw,create=dir,optional,noexec 0 0`,
    ),
  ];
}

/** LXC passes over targets that begin with a slash. */
function inRoot(path: string): string {
  return path.replace(/^\/+/, '');
}
