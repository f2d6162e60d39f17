// Bundles a program for tests that start it often: as a bundle it is up in a fraction of the time that its sources take.
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after } from 'node:test';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const folders: string[] = [];
after(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** `entry`: below the repository. Answers the bundle's path; it is removed when the file's tests are over. */
export async function bundled(entry: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bundled-'));
  folders.push(folder);
  chmodSync(folder, 0o755);
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const outfile = join(folder, basename(entry).replace(/\.ts$/, '.cjs'));
  await build({
    entryPoints: [join(ROOT, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    // Native addons, and a package that starts its own files as worker threads.
    external: ['koffi', 'piscina'],
    // For coverage.
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'error',
  });
  return outfile;
}
