// Tells when a child may have been stopped by a signal, which Linux tells its parent as it does an end (SIGCHLD).
import process from 'node:process';

/** Who is held up for no longer, as together with this process by a terminal, is not told of. */
const MOMENT_MS = 100;

/** Calls `look` soon after any child was stopped, ended or went on. Answers how to stop it. */
export function watchStops(look: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const onChild = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      look();
    }, MOMENT_MS);
  };
  process.on('SIGCHLD', onChild);
  return () => {
    process.off('SIGCHLD', onChild);
    clearTimeout(timer);
  };
}
