// The kinds of value that configuration keys have: how each is written, what it means, and how the control API shows it.
import * as z from 'zod/mini';

/** As `GET /config` shows a value; clients know these JSON types from Pantavisor. */
export type Shown = string | number | boolean | null;

export interface Kind<T> {
  /** From the text as somebody wrote it; undefined: it cannot be used. */
  readonly read: (written: string) => { readonly value: T; readonly shown: Shown } | undefined;
  /** What may be written, for the message that refuses something else. */
  readonly expected: string;
}

function kind<T>(schema: z.ZodMiniType<T, string>, expected: string, show: (value: T) => Shown): Kind<T> {
  return {
    read(written) {
      const parsed = schema.safeParse(written);
      return parsed.success ? { value: parsed.data, shown: show(parsed.data) } : undefined;
    },
    expected,
  };
}

/** Empty: not set. */
export const text = kind(z.string().check(z.maxLength(4096)), 'a text of at most 4096 characters', (value) =>
  value === '' ? null : value,
);

function pathLike(pattern: RegExp, expected: string): Kind<string> {
  const path = z.string().check(z.maxLength(4096), z.regex(pattern));
  return kind(path, expected, (value) => (value === '' ? null : value));
}

/** A file or a folder. Relative to where Berth happened to be started it would be another one each time. Empty: not set. */
export const place = pathLike(/^(?:\/|$)/, 'an absolute path');
/** Empty: not set. */
export const program = pathLike(/^(?:\/|[^/]*$)/, 'the name of a program, or an absolute path');

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 'true', 'yes', 'on'].map((word) => [word, true] as const),
  ...['0', 'false', 'no', 'off'].map((word) => [word, false] as const),
]);

export const flag = kind(
  refined((written) => FLAGS.get(written.toLowerCase())),
  '1, true, yes or on; 0, false, no or off',
  (value) => value,
);

function number(pattern: RegExp, expected: string): Kind<number> {
  return kind(
    refined((written) => (pattern.test(written) ? Number(written) : undefined)),
    expected,
    (value) => value,
  );
}

export const count = number(/^\d{1,9}$/, 'a whole number of up to nine digits');
export const percent = number(/^(?:100|\d{1,2})$/, 'a percentage, 0 to 100');
export const port = number(/^\d{1,5}$/, 'a port number');

const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, min: 60, h: 3600, d: 86_400 };

/** Seconds. */
export const duration = kind(
  refined((written) => {
    const [, digits, unit = ''] = /^(\d{1,9})(s|min|h|d)?$/.exec(written) ?? [];
    return digits === undefined ? undefined : Number(digits) * (SECONDS[unit] ?? 1);
  }),
  'a number of seconds, or with a unit: 30s, 10min, 1h, 1d',
  (value) => value,
);

export type Size =
  | { readonly kind: 'automatic' }
  | { readonly kind: 'bytes'; readonly bytes: number }
  /** Of the file system that the folder is on. */
  | { readonly kind: 'percent'; readonly percent: number };

const BYTES: Readonly<Record<string, number>> = { '': 1, B: 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

function parseSize(written: string): Size | undefined {
  const [, share] = /^(100|\d{1,2})%$/.exec(written) ?? [];
  const [, digits, unit = ''] = /^(\d{1,12})(B|[KMGT]B?)?$/i.exec(written) ?? [];
  if (Number(share ?? digits) === 0) return { kind: 'automatic' };
  if (share !== undefined) return { kind: 'percent', percent: Number(share) };
  if (digits === undefined) return undefined;
  return { kind: 'bytes', bytes: Number(digits) * (BYTES[unit.slice(0, 1).toUpperCase()] ?? 1) };
}

export const size = kind<Size>(
  refined(parseSize),
  'a size in bytes, with K, M, G or T for powers of 1024, or a percentage such as 10%; 0 chooses by itself',
  (value) => (value.kind === 'bytes' ? value.bytes : value.kind === 'percent' ? `${value.percent}%` : 0),
);

function placed<const W extends string>(words: readonly W[], show: (value: W) => Shown): Kind<W> {
  return kind(
    refined((written) => words.find((each, place) => each === written.toLowerCase() || String(place) === written)),
    `one of ${words.join(', ')}`,
    show,
  );
}

/** One of some words; Pantavisor's clients are shown its place in the list, and may write that as well. */
export function choice<const W extends string>(words: readonly W[]): Kind<W> {
  return placed(words, (value) => words.indexOf(value));
}

/** As `choice`; shown as its word. */
export function word<const W extends string>(words: readonly W[]): Kind<W> {
  return placed(words, (value) => value);
}

/** Several of some words, parted by commas; shown as the sum of their bits, as Pantavisor does. `always`: bits that no word stands for. */
export function wordSet<const W extends string>(bits: Readonly<Record<W, number>>, always = 0): Kind<readonly W[]> {
  const known = (part: string): part is W => Object.hasOwn(bits, part);
  return kind(
    refined((written): readonly W[] | undefined => {
      const chosen = new Set(
        written
          .toLowerCase()
          .split(',')
          .map((part) => part.trim()),
      );
      chosen.delete('');
      const found = [...chosen].filter(known);
      return found.length > 0 && found.length === chosen.size ? found : undefined;
    }),
    `some of ${Object.keys(bits).join(', ')}, parted by commas`,
    (value) => value.reduce((sum, each) => sum | bits[each], always),
  );
}

/** A text that means something, or does not: then `read` answers undefined. */
function refined<T>(read: (written: string) => T | undefined): z.ZodMiniType<T, string> {
  return z.pipe(
    z.string(),
    z.transform((written, context): T => {
      const value = read(written);
      if (value !== undefined) return value;
      context.issues.push({ code: 'custom', message: 'means nothing', input: written });
      return z.NEVER;
    }),
  );
}
