// What tests left behind: processes of the namespace they ran in, files of the folder they had for temporary ones, control groups.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';

const LOOK_AGAIN_MS = 100;
/** Caches of what runs TypeScript, which are meant to stay as long as the folder does. */
const CACHES = /^(tsx-\d+|node-compile-cache)$/;

export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Of our pid namespace. One that ends meanwhile, or has ended and waits for its parent, is none. */
export function processes(): readonly Process[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        // Behind the name in brackets, which may hold anything: state, parent.
        const [, parent = ''] = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '').split(' ');
        return command === '' ? [] : [{ pid, parent: Number(parent), command }];
      } catch {
        return [];
      }
    });
}

/** Those that are neither among `known` nor us; given the time to end by themselves. */
export async function strangers(known: ReadonlySet<number>, patienceMs: number): Promise<readonly Process[]> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = processes().filter(({ pid }) => pid !== process.pid && !known.has(pid));
    if (found.length === 0 || performance.now() > end) return found;
    await wait(LOOK_AGAIN_MS);
  }
}

export function strayFiles(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => !CACHES.test(name))
    .map((name) => join(folder, name));
}
