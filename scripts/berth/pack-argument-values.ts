// The kinds of values that arguments of args.json have, what people are told of each, and how they are read. Pure.
import * as z from 'zod/mini';

/** LXC's configuration and run.json are line by line or by word: a control character in a value would be another line. */
const SINGLE_LINE = /^[^\p{Cc}]+$/u;
export const word = z.string().check(z.regex(SINGLE_LINE, 'a non-empty string without control characters'));
export const words = z.union([z.array(word), word]);
export const lines = z.union([z.array(word), z.string()]);
export const flag = z.union([z.boolean(), z.enum(['yes', 'no', 'true', 'false', '1', '0'])]);
export const address = z.string().check(z.regex(/^[0-9.]+(\/\d{1,2})?$/, 'an IPv4 address, a.b.c.d or a.b.c.d/prefix'));
export const count = z.union([z.int().check(z.minimum(0)), z.string().check(z.regex(/^\d{1,9}$/))]);
/** lxc.container.conf(5) takes fstab(5) lines: a blank would be the next field. */
export const field = z.string().check(z.regex(/^[^\s\p{Cc},:]+$/u));
const PAIRS = /^[^\s\p{Cc},:]+:[^\s\p{Cc},:]+(?:,[^\s\p{Cc},:]+:[^\s\p{Cc},:]+)*$/u;
const pair = z.string().check(z.regex(PAIRS));
export const pairs = z.union([z.array(pair), pair]);

export const WORD = 'a string of one line, not empty';
export const WORDS = 'a string or an array of strings';
export const LINES = 'a string or an array of strings, one line each';
export const FLAG = 'true or false, or "yes" or "no"';
export const ADDRESS = 'an IPv4 address, a.b.c.d or a.b.c.d/prefix';
export const COUNT = 'a number';
export const FIELD = 'a name or path without blanks, commas and colons';
export const PAIRS_TEXT = '"source:target", several with commas between them or in an array, no blanks';

type Several = string | readonly string[] | undefined;

/** A list as JSON writes it, or as command lines do: `a,b c`. */
export function listOf(value: Several): readonly string[] | undefined {
  return typeof value === 'string' ? value.split(/[\s,]+/).filter((part) => part !== '') : value;
}

export function linesOf(value: Several): readonly string[] {
  const written = typeof value === 'string' ? value.split('\n') : (value ?? []);
  return written.map((line) => line.trim()).filter((line) => line !== '');
}

/** Source and target of each. */
export function pairsOf(value: Several): readonly (readonly [string, string])[] {
  return (listOf(value) ?? []).flatMap((each) =>
    each.split(',').map((text) => {
      const [source = '', target = ''] = text.split(':');
      return [source, target] as const;
    }),
  );
}

export function isSet(value: z.output<typeof flag> | undefined): boolean {
  return value === true || value === 'yes' || value === 'true' || value === '1';
}
