// Turns every source and every test into JavaScript, once for all of the test files: each would else start tsx and have it look up what it imports.
import { readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = ['services', 'shared', 'scripts', 'test', 'hw-tests'];
/** Below the repository: packages are found from there. */
const COMPILED = join(ROOT, '.cache/tests');

/** File by file: modules stay what they are, and name each other. */
const fileByFile: Plugin = {
  name: 'file-by-file',
  setup(builder) {
    builder.onResolve({ filter: /./ }, ({ path, kind, resolveDir }) => {
      if (kind === 'entry-point') return undefined;
      if (path.endsWith('.ts')) return { external: true, path: path.replace(/\.ts$/, '.js') };
      return { external: true, path: path.startsWith('.') ? join(resolveDir, path) : path };
    });
    // What lies beside a source is found there.
    builder.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      loader: 'ts',
      contents: (await readFile(path, 'utf8')).replaceAll('import.meta.dirname', JSON.stringify(dirname(path))),
    }));
  },
};

export async function compileAll(): Promise<void> {
  rmSync(COMPILED, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: FOLDERS.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(ROOT, folder, name)),
    ),
    outbase: ROOT,
    outdir: COMPILED,
    bundle: true,
    treeShaking: false,
    plugins: [fileByFile],
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    // For coverage, and for stacks.
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'error',
  });
}

/** `file`: below the repository. */
export const compiledOf = (file: string): string => join(COMPILED, file.replace(/\.ts$/, '.js'));

/** Below the repository, whether it was compiled or not. */
export const sourceOf = (path: string): string =>
  path.startsWith(COMPILED) ? relative(COMPILED, path).replace(/\.js$/, '.ts') : relative(ROOT, path);
