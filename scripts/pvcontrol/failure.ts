// What an answer other than 200 means: the text for people and the exit code for scripts.
import type { Answer } from './control-socket.ts';

/** The codes of the stock client. */
export const EXIT = { ok: 0, usage: 1, diskFull: 48, badChecksum: 60, badState: 70, busy: 75, other: 255 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The three texts that clients compare literally. */
const EXIT_OF_TEXT: ReadonlyMap<string, ExitCode> = new Map([
  ['Not enough disk space available', EXIT.diskFull],
  ['Object has bad checksum', EXIT.badChecksum],
  ['State verification has failed', EXIT.badState],
]);

export interface Failure {
  readonly text: string;
  /** By the API, in its JSON. */
  readonly isTold: boolean;
  readonly exitCode: ExitCode;
}

export function failureOf({ status, body }: Answer): Failure {
  const told = errorText(body);
  const isTold = told !== undefined;
  if (status === 503) return { text: told ?? 'the device is busy; try again', isTold, exitCode: EXIT.busy };
  const text = told ?? `unexpected answer, HTTP status ${status}`;
  return { text, isTold, exitCode: EXIT_OF_TEXT.get(text) ?? EXIT.other };
}

function errorText(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null || !('Error' in parsed)) return undefined;
    return typeof parsed.Error === 'string' ? printable(parsed.Error) : undefined;
  } catch {
    return undefined;
  }
}

/** Texts from elsewhere must not steer the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
