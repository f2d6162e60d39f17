// What this host lacks for containers to run at all, as reasons for /health.
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { ENVIRONMENT } from '../../shared/exec/run-command.ts';
import type { HealthReason } from '../../shared/schema/health.ts';

/** Where shared/exec looks for programs. */
export const PROGRAM_FOLDERS = ENVIRONMENT.PATH.split(':');

function isThere(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

export function hostReasons(programFolders = PROGRAM_FOLDERS, loopControl = '/dev/loop-control'): HealthReason[] {
  const reasons: HealthReason[] = [];
  if (!programFolders.some((folder) => isThere(join(folder, 'lxc-start'), constants.X_OK))) {
    const message = `no lxc-start in ${programFolders.join(', ')}: no container can be started; install LXC 5`;
    reasons.push({ code: 'LXC_MISSING', subject: 'lxc-start', message });
  }
  if (!isThere(loopControl, constants.F_OK)) {
    const message = `${loopControl} is missing: no root filesystem can be mounted; load the kernel module loop`;
    reasons.push({ code: 'LOOP_MISSING', subject: loopControl, message });
  }
  return reasons;
}
