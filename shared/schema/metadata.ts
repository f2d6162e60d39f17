// Metadata: what people (user-meta) and the device (device-meta) say about it, as keys with text values, and what makes them legal.
import { Buffer } from 'node:buffer';
import * as z from 'zod/mini';
import { CONTROL } from './control-characters.ts';

export const METADATA_KINDS = ['user', 'device'] as const;
export type MetadataKind = (typeof METADATA_KINDS)[number];
export const metadataKind = z.enum(METADATA_KINDS);

/** A key is the name of a file, in the storage and in containers: NAME_MAX is 255 (linux/limits.h), with room to spare. */
export const MAX_KEY_BYTES = 200;
/** A message between services has 64 KiB; the largest value in use are keys for ssh, a few KiB. */
export const MAX_VALUE_BYTES = 32 * 1024;

const ANY_CONTROL = new RegExp(`[${CONTROL}]`);
/** Half of a pair without the other, which UTF-8 has no bytes for. */
const LONE_SURROGATE = /[\ud800-\udfff]/u;

/** Why `key` cannot be one, for people; undefined when it can. */
export function keyProblem(key: string): string | undefined {
  if (key === '') return 'it is empty';
  const bytes = Buffer.byteLength(key);
  if (bytes > MAX_KEY_BYTES) return `it has ${bytes} bytes, at most ${MAX_KEY_BYTES} are allowed`;
  if (key.includes('/')) return 'it has a "/", and a key is the name of a file';
  if (ANY_CONTROL.test(key)) return 'it has a control character';
  if (LONE_SURROGATE.test(key)) return 'it is not valid Unicode';
  // No part of a key is empty, so that no part of it is "." or "..", nor a hidden file.
  if (key.split('.').includes('')) return 'a dot must stand between two other characters';
  return undefined;
}

/** Why `value` cannot be one, for people; undefined when it can. */
export function valueProblem(value: string): string | undefined {
  const bytes = Buffer.byteLength(value);
  if (bytes > MAX_VALUE_BYTES) return `it has ${bytes} bytes, at most ${MAX_VALUE_BYTES} are allowed`;
  if (value.includes('\0')) return 'it has a NUL character';
  return undefined;
}

export const metadataKey = z.string().check(z.refine((key) => keyProblem(key) === undefined, 'a key of metadata'));
export const metadataValue = z
  .string()
  .check(z.refine((value) => valueProblem(value) === undefined, 'a value of metadata'));
