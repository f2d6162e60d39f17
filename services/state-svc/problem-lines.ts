// What is wrong with a revision, as lines of the log: bounded, since a state may name a hundred thousand objects that are not there.
import type { Problem } from '../../shared/revision/revision.ts';

/** What the log takes without the rest of it being forgotten for that. */
const MAX_LINES = 64;

/** One line each, and behind the first of many how many there are beside them. */
export function problemLines(problems: readonly Problem[]): readonly string[] {
  const lines = problems
    .slice(0, MAX_LINES)
    .map(({ path, code, message }) => `${path === '' ? '' : `${path}: `}${message} (${code})`);
  const rest = problems.length - lines.length;
  return rest === 0 ? lines : [...lines, `and ${rest} problems more, which berth check names`];
}
