// The users that services run as, and the fixed uids that stand in for them where no installer has created any.

/**
 * uid = gid. 60578–61183 is the range that systemd's allocation table (systemd.io/UIDS-GIDS) marks as unused,
 * and Debian policy 9.2.2 leaves to dynamic, on-demand use.
 */
export const FALLBACK_UIDS = {
  root: 0,
  'berth-log': 60801,
  'berth-ipam': 60802,
  'berth-net': 60803,
  'berth-state': 60804,
  'berth-ctl': 60805,
} as const;

export type ServiceUser = keyof typeof FALLBACK_UIDS;
