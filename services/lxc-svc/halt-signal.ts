// Which signal asks a container's init to end, as lxc-stop chooses it. Pure.
import { constants } from 'node:os';
import type { LxcEntry } from '../../shared/lxc-config/parse.ts';

/** As the C library numbers them for programs (signal(7)). */
const SIGRTMIN = 34;
const SIGRTMAX = 64;
/** systemd blocks it, and takes it for "halt"; LXC asks the same of others that block it. */
const SIGRTMIN_PLUS_3 = 37;

const SIGNALS: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals));

/** `SIGPWR`, `PWR`, `30`, `SIGRTMIN+3`, `RTMAX-1`; undefined for anything else. */
export function signalNumber(text: string): number | undefined {
  const [, base, sign, offset] = /^(?:SIG)?RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(text) ?? [];
  if (base !== undefined) {
    const from = base === 'MIN' ? SIGRTMIN : SIGRTMAX;
    const number = from + (sign === '-' ? -1 : 1) * Number(offset ?? 0);
    return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
  }
  const number = Number(text);
  if (Number.isInteger(number) && text !== '') return number >= 1 && number <= SIGRTMAX ? number : undefined;
  return SIGNALS.get(text.startsWith('SIG') ? text : `SIG${text}`);
}

/** `blocked`: a bit for each signal that the init blocks, signal 1 the lowest. */
export function haltSignal(entries: readonly LxcEntry[], blocked: bigint): number {
  const configured = entries.findLast(({ key }) => key === 'lxc.signal.halt')?.value ?? '';
  const number = signalNumber(configured);
  if (number !== undefined) return number;
  const isSystemd = ((blocked >> BigInt(SIGRTMIN_PLUS_3 - 1)) & 1n) === 1n;
  return isSystemd ? SIGRTMIN_PLUS_3 : constants.signals.SIGPWR;
}
