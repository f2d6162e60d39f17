// The age of the boot, which nobody sets, and which all processes have alike.
import { readFileSync } from 'node:fs';

/**
 * Milliseconds since the machine booted, to a hundredth of a second; sleep counts (CLOCK_BOOTTIME). Start times in /proc/<pid>/stat and times
 * of /dev/kmsg begin at the same moment.
 */
export function sinceBootMs(): number {
  return Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000;
}
