// What is wrong with the shape of a message, in a line, for the log and for whoever sent it.
import type * as z from 'zod/mini';

/** There can be as many as the message has bytes; zod's own text of all of them takes longer than the rest of reading it. */
const MAX_SHOWN = 4;
const MAX_CHARS = 400;

export function shapeProblem({ issues }: z.core.$ZodError): string {
  const shown = issues.slice(0, MAX_SHOWN).map(textOf);
  const more = issues.length > shown.length ? `, and ${issues.length - shown.length} more` : '';
  return shown.join(', ').slice(0, MAX_CHARS) + more;
}

function textOf(issue: z.core.$ZodIssue): string {
  const where = issue.path.length === 0 ? 'all of it' : issue.path.map(String).join('.').slice(0, MAX_CHARS);
  return 'expected' in issue ? `${where}: ${issue.code}, expected ${issue.expected}` : `${where}: ${issue.code}`;
}
