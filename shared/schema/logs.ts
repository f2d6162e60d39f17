// Where the text of a container's log comes from.
import * as z from 'zod/mini';
import { CONTROL } from './control-characters.ts';

/** Its console, what LXC says about it, or a file of its own, by the path that the file has there. */
export const containerLogSource = z.union([
  z.enum(['console', 'lxc']),
  z.templateLiteral(['file:/', z.string().check(z.maxLength(255))]),
]);
export type ContainerLogSource = z.output<typeof containerLogSource>;

/** A file that a container writes its log to, by the path that the file has there. */
export const containerLogFile = z.strictObject({
  path: z
    .string()
    .check(
      z.regex(
        new RegExp(String.raw`^(?!.*/\.{0,2}(?:/|$))/[^${CONTROL}]+$`, 'u'),
        'an absolute path without empty, "." or ".." parts',
      ),
      z.maxLength(255, 'at most 255 characters'),
    ),
  /** It is emptied when it has grown beyond this and everything in it was read. */
  truncateBytes: z.optional(z.int().check(z.minimum(4096))),
});
export type ContainerLogFile = z.output<typeof containerLogFile>;
