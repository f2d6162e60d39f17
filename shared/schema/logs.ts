// Where the text of a container's log comes from.
import * as z from 'zod/mini';

/** Its console, what LXC says about it, or a file of its own, by the path that the file has there. */
export const containerLogSource = z.union([
  z.enum(['console', 'lxc']),
  z.templateLiteral(['file:/', z.string().check(z.maxLength(255))]),
]);
export type ContainerLogSource = z.output<typeof containerLogSource>;
