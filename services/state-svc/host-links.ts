// Which network interfaces the machine has.
import { readdirSync } from 'node:fs';

/** True as well where that cannot be learnt: nobody is warned for nothing. */
export function hasHostLink(name: string): boolean {
  try {
    return readdirSync('/sys/class/net').includes(name);
  } catch {
    return true;
  }
}
