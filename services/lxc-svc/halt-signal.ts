// Which signal asks a container's init to end, as lxc-stop chooses it. Pure.
import { constants } from 'node:os';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import { signalNumber } from '../../shared/lxc-config/signals.ts';

/** systemd blocks it, and takes it for "halt"; LXC asks the same of others that block it. */
const SIGRTMIN_PLUS_3 = 37;
/** What kill(2) takes. */
const MAX = 64;

/** `blocked`: a bit for each signal that the init blocks, signal 1 the lowest. */
export function haltSignal(entries: readonly LxcEntry[], blocked: bigint): number {
  const configured = entries.findLast(({ key }) => key === 'lxc.signal.halt')?.value ?? '';
  const number = signalNumber(configured);
  if (number !== undefined && number >= 1 && number <= MAX) return number;
  const isSystemd = ((blocked >> BigInt(SIGRTMIN_PLUS_3 - 1)) & 1n) === 1n;
  return isSystemd ? SIGRTMIN_PLUS_3 : constants.signals.SIGPWR;
}
