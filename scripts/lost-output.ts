// What a command found out is its answer: where that cannot be written, on a full disk, the command has failed, whatever it found.
import process from 'node:process';

/** From here on: such a loss is told on stderr, and ends with 1 what would end with 0. */
export function failOnLostOutput(command: string): void {
  let isLost = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    // A reader that has seen enough (head, grep -q) is no error.
    if (code === 'EPIPE' || isLost) return;
    isLost = true;
    console.error(`${command}: the answer cannot be written: ${message}`);
  });
  process.on('exit', (code) => {
    if (isLost && code === 0) process.exitCode = 1;
  });
}
