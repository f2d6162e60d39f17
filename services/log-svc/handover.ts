// What is said to pv-fd-log when a descriptor is handed over, as the stock runtime has it. Pure.
//
// One message on a stream connection, 108 bytes, with the descriptor beside them (SCM_RIGHTS):
//   50 bytes   the container's name, which is not looked at: the socket says whose it is
//   50 bytes   the name of the source, ended by NUL
//   4 bytes    the level of all that will be read, an int of this machine
//   4 bytes    1: read from the descriptor from now on; 0: stop reading for this source
import { endianness } from 'node:os';
import type { Level } from './log-flow.ts';

const NAME_BYTES = 50;
export const HANDOVER_BYTES = 2 * NAME_BYTES + 8;

/** By number. The fourth is the stock runtime's level for consoles. */
const LEVELS: readonly Level[] = ['FATAL', 'ERROR', 'WARN', 'INFO', 'INFO', 'DEBUG', 'TRACE'];

export interface Handover {
  readonly src: string;
  readonly level: Level;
  readonly isWanted: boolean;
}

/** Undefined: it is something else. */
export function parseHandover(bytes: Buffer): Handover | undefined {
  if (bytes.length !== HANDOVER_BYTES) return undefined;
  const name = bytes.subarray(NAME_BYTES, 2 * NAME_BYTES);
  const end = name.indexOf(0);
  const src = name.subarray(0, end === -1 ? NAME_BYTES : end).toString('utf8');
  const [level, action] = [intAt(bytes, 2 * NAME_BYTES), intAt(bytes, 2 * NAME_BYTES + 4)];
  if (action !== 0 && action !== 1) return undefined;
  return { src: src === '' ? 'unknown-src' : src, level: levelOfNumber(level), isWanted: action === 1 };
}

/** Of what nobody knows: `INFO`. */
export function levelOfNumber(level: number): Level {
  return LEVELS[level] ?? 'INFO';
}

/** Of this machine. */
export function intAt(bytes: Buffer, offset: number): number {
  return endianness() === 'LE' ? bytes.readInt32LE(offset) : bytes.readInt32BE(offset);
}
