// Signals of an LXC configuration as LXC reads them: sig_parse() in src/lxc/confile_utils.c. Pure.
import { constants } from 'node:os';
import { unsignedNumber } from './numbers.ts';

/** As the C library numbers them for programs (signal(7)). */
const SIGRTMIN = 34;
const SIGRTMAX = 64;
/** LXC takes any number that an int has, of which kill(2) refuses most. */
const MAX = 0x7fff_ffff;

const NAMES = `ABRT ALRM BUS CHLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG
  USR1 USR2 VTALRM WINCH XCPU XFSZ`;
const { signals } = constants;
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...Object.entries(signals).filter(([name]) => NAMES.split(/\s+/).includes(name.slice('SIG'.length))),
  ['SIGCLD', signals.SIGCHLD],
]);

/** `SIGPWR`, `30`, `0x1e`, `SIGRTMIN+3`, `SIGRTMAX-1`, in upper or lower case; undefined for what LXC refuses. */
export function signalNumber(text: string): number | undefined {
  const name = text.toUpperCase();
  const [, end, offset] = /^SIGRT(MIN\+|MAX-)(\d.*)$/.exec(name) ?? [];
  if (offset !== undefined) {
    const away = unsignedNumber(offset) ?? Number.POSITIVE_INFINITY;
    const number = end === 'MIN+' ? SIGRTMIN + away : SIGRTMAX - away;
    return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
  }
  const number = /^\d/.test(text) ? unsignedNumber(text) : NUMBERS.get(name);
  return number === undefined || number > MAX ? undefined : number;
}
