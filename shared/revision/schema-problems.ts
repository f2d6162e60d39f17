// Turns what a schema has against a document into problems with a JSON path, the value, and what is allowed.
import type * as z from 'zod/mini';
import type { Problem } from './revision.ts';

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

type Issue = z.core.$ZodIssue;

/** Longer values are cut in messages. */
const MAX_SHOWN = 80;
/** Longer paths and messages are cut. */
const MAX_PRINTED = 500;

/** All or nothing; `readDocument` is for documents of which every part that is sound counts. Codes: BAD_TYPE, BAD_VALUE. */
export function parseAt<T extends z.ZodMiniType>(schema: T, value: unknown, base: string): Parsed<z.output<T>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, problems: parsed.error.issues.map((issue) => problemOf(issue, value, base)) };
}

/** `base`: the JSON path at which `document` stands. Codes: BAD_TYPE, BAD_VALUE. */
export function problemOf(issue: Issue, document: unknown, base: string): Problem {
  const path = [base, ...issue.path.map(String)].join('.');
  const found = valueAt(document, issue.path);
  const code = issue.code === 'invalid_type' ? 'BAD_TYPE' : 'BAD_VALUE';
  if (found === undefined) return { path, code, message: `is missing; ${allowedBy(issue)}` };
  return { path, code, message: `is ${shown(found)}; ${allowedBy(issue)}` };
}

function allowedBy(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be of type ${issue.expected === 'record' ? 'object' : issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_union':
      return 'matches none of the allowed forms';
    default:
      return `must be ${issue.message}`;
  }
}

export function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const key of path) value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  return value;
}

/** A value as a message shows it: short, and never a whole document. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

/** The text on one line, without control characters (C0, DEL, C1), cut when it is long. */
export function printable(text: string): string {
  const short = text.length > MAX_PRINTED ? `${text.slice(0, MAX_PRINTED)}…` : text;
  return short.replace(/[\p{Cc}\u2028\u2029]/gu, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** JSON paths of the keys of `value` that `known` lacks, at its first level. */
export function unknownKeys(known: object, value: unknown, base: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value)
    .filter((key) => !Object.hasOwn(known, key))
    .map((key) => `${base}.${key}`);
}
