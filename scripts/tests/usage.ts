// What the commands that test say of themselves: to whoever asks for it, and to whoever asked for what there is not.
import process from 'node:process';

/** With `--help` or `-h` among the arguments: prints it and ends, before anything is started. */
export function answerHelp(usage: string): void {
  if (!process.argv.slice(2).some((word) => word === '--help' || word === '-h')) return;
  console.log(usage);
  process.exit(0);
}

/** Ends with 2: nothing was done. */
export function refuse(command: string, message: string, usage: string): never {
  // parseArgs gives advice after a full stop, for other cases than ours.
  const [problem] = message.startsWith('Unknown option') ? message.split('. ', 1) : [message];
  console.error(`${command}: ${problem}\n\n${usage}`);
  process.exit(2);
}
