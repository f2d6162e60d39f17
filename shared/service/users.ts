// The users that services run as, and the fixed uids that stand in for them where no installer has created any.
import { readFileSync } from 'node:fs';

/**
 * uid = gid. 60578–61183 is the range that systemd's allocation table (systemd.io/UIDS-GIDS) marks as unused,
 * and Debian policy 9.2.2 leaves to dynamic, on-demand use.
 */
const FALLBACK_UIDS = {
  root: 0,
  'berth-log': 60801,
  'berth-ipam': 60802,
  'berth-net': 60803,
  'berth-state': 60804,
  'berth-ctl': 60805,
} as const;

export type ServiceUser = keyof typeof FALLBACK_UIDS;

const userLine = /^([^:]+):[^:]*:(\d+):/;

/** The uid that /etc/passwd gives the user, else the fixed one. Each service's group has the number of its user. */
export function resolveUid(user: ServiceUser): number {
  let lines: string[] = [];
  try {
    lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  } catch {
    // No passwd file at all: an image without users.
  }
  for (const line of lines) {
    const [, name, uid] = userLine.exec(line) ?? [];
    if (name === user) return Number(uid);
  }
  return FALLBACK_UIDS[user];
}
