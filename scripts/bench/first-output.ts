// What a child of the bench prints first, or that it ended without a word.
import type { ChildProcess } from 'node:child_process';

export function firstOutput(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    child.once('error', reject);
    child.once('close', () => reject(new Error(`${child.spawnfile} ended without a figure`)));
  });
}
