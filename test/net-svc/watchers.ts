// Watchers of the kernel that prove that nothing was changed: monitor programs, which end with the test that started them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { quiet as quietKernel } from '../kit/quiet.ts';
import { inside, type Netns, run } from './kernel.ts';

export interface Watcher {
  /** All that changed since the watcher was made, one line each. Ends the watcher. */
  changes(): Promise<string[]>;
}

/** Those that run. One that outlived a failed test would keep the test's process, and so the whole run, alive. */
const monitors = new Set<() => Promise<void>>();
afterEach(async () => {
  await Promise.all([...monitors].map((end) => end()));
});

/** Watches with a monitor program; `mark` makes a change, and takes it back, that can be told by the word in it. */
async function watch(
  command: readonly string[],
  words: { readonly start: string; readonly end: string },
  mark: (word: string) => void,
): Promise<Watcher> {
  const [file = '', ...args] = command;
  const monitor = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(monitor, 'close');
  const end = async (): Promise<void> => {
    monitor.kill('SIGKILL');
    await closed;
    monitors.delete(end);
  };
  monitors.add(end);
  let seen = '';
  monitor.stdout.on('data', (chunk: Buffer) => {
    seen += String(chunk);
  });
  const sees = (word: string): boolean => {
    if (monitor.exitCode !== null) throw new Error(`${command.join(' ')} ended by itself`);
    return seen.includes(word);
  };
  // It listens from some moment on that it does not tell: mark until one is seen.
  await eventually(`${file} listens`, PATIENCE_MS, () => {
    if (!sees(words.start)) mark(words.start);
    return sees(words.start);
  });
  return {
    changes: async () => {
      mark(words.end);
      await eventually(`${file} sees the end`, PATIENCE_MS, () => sees(words.end));
      await end();
      const own = (line: string): boolean => line.includes(words.start) || line.includes(words.end);
      return seen.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#') && !own(line));
    },
  };
}

/** Links, IPv4 addresses and IPv4 routes of a namespace. */
export function watchNetwork(netns: Netns = ''): Promise<Watcher> {
  const words = { start: '198.18.254.1', end: '198.18.254.2' };
  return watch(inside(netns, ['ip', '-o', '-4', 'monitor', 'link', 'address', 'route']), words, (word) => {
    run(['ip', 'route', 'add', 'blackhole', word], netns);
    run(['ip', 'route', 'del', 'blackhole', word], netns);
  });
}

/** All of nftables. */
export function watchRules(): Promise<Watcher> {
  return watch(['nft', 'monitor'], { start: 'watch_start', end: 'watch_end' }, (word) => {
    run(['nft', 'add', 'table', 'ip', word]);
    run(['nft', 'delete', 'table', 'ip', word]);
  });
}

/** Resolves when the kernel has nothing more to tell of what was done to links so far, in any namespace. */
export const quiet = (): Promise<void> => quietKernel(run);
