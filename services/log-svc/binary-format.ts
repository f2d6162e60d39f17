// The binary form that the stock runtime's own programs log in, to whichever socket they are given. Pure.
//
// 10 bytes   of builds that tell it from other forms by them: NUL, "pvlogv2" (or "Pvlogv2"), 0xab 0xc8; others have none
// 4 bytes    what it is, an int of this machine: 0, or 1 behind these bytes, is a message; 256 is an order to the log server, which nobody may give
// 4 bytes    the length of what follows, an int
// level, platform, source, text   the first three ended by NUL, the level a number in digits
import { intAt, levelOfNumber } from './handover.ts';
import { type Said, withoutEnd } from './syslog-format.ts';

const MARK = /^\0[Pp]vlogv2\xab\xc8/;
const MARK_BYTES = 10;
const HEAD_BYTES = 8;
const MESSAGE = 0;
const MARKED_MESSAGE = 1;
const FIELDS = /^\s*(\d{1,3})\0[^\0]*\0([^\0]*)\0(.*)$/s;

/** Undefined: it is something else. The platform is not looked at: the socket says whose it is. */
export function parseBinary(datagram: Buffer): Said | undefined {
  const isMarked = MARK.test(datagram.toString('latin1', 0, MARK_BYTES));
  const message = datagram.subarray(isMarked ? MARK_BYTES : 0);
  if (message.length <= HEAD_BYTES) return undefined;
  const [kind, length] = [intAt(message, 0), intAt(message, 4)];
  if (kind !== MESSAGE && !(isMarked && kind === MARKED_MESSAGE)) return undefined;
  if (length <= 0) return undefined;
  const found = FIELDS.exec(message.toString('utf8', HEAD_BYTES, HEAD_BYTES + length));
  if (found === null) return undefined;
  const [, level, src = '', text = ''] = found;
  return {
    level: levelOfNumber(Number(level)),
    src: src === '' ? undefined : src,
    text: withoutEnd(text),
    timeMs: undefined,
    pid: undefined,
  };
}
