// Turns what a schema has against a document into problems with a JSON path, the value, and what is allowed.
import type * as z from 'zod/mini';
import { CONTROL } from '../schema/control-characters.ts';
import type { Problem } from './revision.ts';

type Issue = z.core.$ZodIssue;

/** Longer values are cut in messages. */
const MAX_SHOWN = 80;
/** Longer paths and messages are cut. */
const MAX_PRINTED = 500;

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

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
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

const UNPRINTABLE = new RegExp(String.raw`[${CONTROL}\u2028\u2029]`, 'g');

/** The text on one line, without control characters (C0, DEL, C1), cut when it is long. */
export function printable(text: string): string {
  const short = text.length > MAX_PRINTED ? `${text.slice(0, MAX_PRINTED)}…` : text;
  return short.replace(UNPRINTABLE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
