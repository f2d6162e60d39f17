// Which lines of LXC's own log of a container are kept: those of a level and above. LXC writes more, as lxc-svc learns from them how a
// container ended. In: its bytes, cut anywhere. Out: those of the lines that are kept. Pure.
import { LXC_LEVELS } from '../../shared/config/keys.ts';

export type LxcLevel = (typeof LXC_LEVELS)[number];

const NEWLINE = 0x0a;
/** `lxc-start web 20261121142550.811 DEBUG    conf - …` */
export const LXC_LINE = /^\S+ \S+ \d{14}\.\d{3} ([A-Z]+) /;
/** What that takes at most: a container's name has 63. */
const MAX_HEAD_BYTES = 160;

/** Lines of another shape belong to the line before them; what cannot be told is kept. The answer may be part of what was given. */
export function createLevelFilter(least: LxcLevel): (bytes: Buffer) => Buffer {
  const below = new Set(LXC_LEVELS.slice(0, LXC_LEVELS.indexOf(least)).map((level) => level.toUpperCase()));
  let isKept = true;
  /** What comes next goes on with a line. */
  let isInLine = false;
  const decide = (line: Buffer, isWhole: boolean): void => {
    const level = LXC_LINE.exec(line.toString('latin1', 0, MAX_HEAD_BYTES))?.[1];
    if (level !== undefined) isKept = !below.has(level);
    else if (!isWhole) isKept = true;
  };
  return (bytes) => {
    if (below.size === 0) return bytes;
    const kept: Buffer[] = [];
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline === -1 ? bytes.length : newline + 1;
      const line = bytes.subarray(start, end);
      if (!isInLine) decide(line, newline !== -1);
      if (isKept) kept.push(line);
      isInLine = newline === -1;
      start = end;
    }
    return Buffer.concat(kept);
  };
}
