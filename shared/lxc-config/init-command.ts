// The words of `lxc.init.cmd` as the stock runtime splits them. LXC itself parts them at blanks and passes quotes on, which breaks
// what packagers write: `nginx "-g" "daemon off;"`. Pure.
import type { LxcEntry, LxcProblem } from './entry.ts';

export type Command =
  | { readonly ok: true; readonly words: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/**
 * Quotes keep blanks, and the closing one ends the word; a backslash outside quotes keeps the next character, inside them only their
 * own kind. Empty words are left out.
 */
export function splitCommand(command: string): Command {
  const words: string[] = [];
  let word = '';
  let quote = '';
  const finish = (): void => {
    if (word !== '') words.push(word);
    word = '';
  };
  for (let at = 0; at < command.length; at += 1) {
    const character = command[at] ?? '';
    const next = command[at + 1];
    if (character === '\\' && (quote === '' || next === quote)) {
      if (next === undefined) return { ok: false, reason: 'ends in a backslash' };
      word += next;
      at += 1;
    } else if (quote !== '' && character === quote) {
      quote = '';
      finish();
    } else if (quote === '' && (character === '"' || character === "'")) {
      quote = character;
    } else if (quote === '' && (character === ' ' || character === '\t')) {
      finish();
    } else {
      word += character;
    }
  }
  if (quote !== '') return { ok: false, reason: `has a ${quote} that is not closed` };
  finish();
  return { ok: true, words };
}

/** The line that says what runs as init; undefined: none does, and LXC runs /sbin/init. */
export function initLine(entries: readonly LxcEntry[]): LxcEntry | undefined {
  const last = entries.findLast(({ key }) => key === 'lxc.init.cmd');
  return last === undefined || last.value === '' ? undefined : last;
}

/** Of the line that counts. */
export function initProblems(entries: readonly LxcEntry[]): readonly LxcProblem[] {
  const line = initLine(entries);
  const command = splitCommand(line?.value ?? '');
  if (line === undefined || command.ok) return [];
  const reason = `lxc.init.cmd ${command.reason}: ${line.value}`;
  return [{ line: line.line, source: line.source, reason }];
}
