// What the commands of berth have in common in how they are asked. Pure.
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';

/** `--help` or `-h` among the words of a command. */
export function asksForHelp(words: readonly string[]): boolean {
  return words.includes('--help') || words.includes('-h');
}

/** What is wrong with them: parseArgs gives advice after a full stop, for other cases than ours. */
export function wrongWords(error: unknown): string {
  const message = reasonOf(error);
  return errorCode(error).startsWith('ERR_PARSE_ARGS') ? message.replace(/\. .*/s, '') : message;
}
