// Builds dist/: one CommonJS bundle per service and command, with the packages that cannot be bundled beside them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { build } from 'esbuild';
import { cachePath } from '../shared/boot/load-bundle.ts';
import { licenceTexts } from './build-licences.ts';
import { bundleOptions, COMMANDS, contractsHash, EXTERNAL, REHEARSED, ROOT } from './bundles.ts';
import { rehearseServices } from './rehearse-services.ts';

const DIST = join(ROOT, 'dist');
/** Written beside and renamed, so that a tree that runs from dist/ never sees half a build. */
const FRESH = join(ROOT, `dist.${process.pid}`);
const OLD = `${FRESH}.old`;

/** Copies a package and what it depends on into dist/node_modules, as npm laid it down for this machine. */
function copyPackage(name: string, from: string, seen: Set<string>): void {
  if (seen.has(name)) return;
  seen.add(name);
  const folder = packageFolder(name, from);
  if (folder === undefined) return;
  const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  cpSync(folder, join(FRESH, 'node_modules', name), {
    recursive: true,
    dereference: true,
    filter: (path) =>
      !/\.(map|md|d\.[cm]?ts)$|\/(doc|docs|examples|test|tests|benchmark)$|\/src\/.*\.(cc|hh)$/.test(path),
  });
  for (const dependency of dependenciesOf(manifest)) copyPackage(dependency, folder, seen);
}

function dependenciesOf(manifest: unknown): readonly string[] {
  if (typeof manifest !== 'object' || manifest === null) return [];
  const named = (key: string): object => {
    const value: unknown = Reflect.get(manifest, key);
    return typeof value === 'object' && value !== null ? value : {};
  };
  return Object.keys({ ...named('dependencies'), ...named('optionalDependencies') });
}

/** Undefined for an optional package of another platform. */
function packageFolder(name: string, from: string): string | undefined {
  const paths = createRequire(join(from, 'package.json')).resolve.paths(name) ?? [];
  return paths.map((path) => join(path, name)).find((path) => existsSync(join(path, 'package.json')));
}

/** Services run as users of their own and must be able to read their bundles, whatever the umask of whoever cloned and built. */
function openToAll(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) openToAll(path);
    else chmodSync(path, (statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

/** Who does not get ready here, as under a folder that is closed to others, finds no launch document, ends at once, and keeps everything. */
async function rehearse(folder: string): Promise<void> {
  const learnt = new Set<string>(await learn(folder));
  for (const name of REHEARSED) {
    if (learnt.has(name)) continue;
    spawnSync(process.execPath, [join(folder, 'boot.js'), '--rehearse', join(folder, `${name}.js`)], {
      env: { PATH: process.env.PATH },
      stdio: 'ignore',
    });
    if (!existsSync(cachePath(join(folder, `${name}.js`)))) throw new Error(`${name}.js cannot be loaded`);
  }
}

/** Of a build: what compiled code it was given at its first start comes and goes beside it. */
const filesOf = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith('cache/') && name !== 'SOURCES')
    .sort();

/** Trees that run from dist/ go on with it: taken away, it is taken from them. */
function isThereAlready(): boolean {
  if (!REHEARSED.every((name) => existsSync(cachePath(join(DIST, `${name}.js`))))) return false;
  const [there, fresh] = [filesOf(DIST), filesOf(FRESH)];
  return (
    isDeepStrictEqual(there, fresh) &&
    fresh.every((name) => readFileSync(join(DIST, name)).equals(readFileSync(join(FRESH, name))))
  );
}

/** Written elsewhere and copied: the services run as somebody who must not own a part of the build. */
async function learn(folder: string): Promise<readonly string[]> {
  const caches = mkdtempSync(join(tmpdir(), 'berth-caches-'));
  try {
    const { ready: names } = await rehearseServices(folder, await contractsHash(), caches).catch((error: unknown) => {
      // Want of rights, of memory, of a path that is short enough for a socket: no reason to build nothing.
      console.error(`the services could not be started for their compiled code: ${String(error)}`);
      return { ready: [] };
    });
    for (const name of names) {
      const path = cachePath(join(folder, `${name}.js`));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, readFileSync(join(caches, `${name}.cache`)));
    }
    return names;
  } finally {
    rmSync(caches, { recursive: true, force: true });
  }
}

/** As sha256sum(1) writes and checks it: the installer compares it with the sources beside the build. */
function sourceSums(names: readonly string[]): string {
  const sum = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(ROOT, name)))
      .digest('hex');
  return names.map((name) => `${sum(name)}  ${name}\n`).join('');
}

let sources: readonly string[] = [];
mkdirSync(FRESH, { recursive: true });
try {
  const { metafile } = await build({ ...(await bundleOptions()), outdir: FRESH, metafile: true });
  const seen = new Set<string>();
  for (const name of EXTERNAL) copyPackage(name, ROOT, seen);
  const bundled = Object.keys(metafile?.inputs ?? {});
  sources = bundled.filter((name) => !name.startsWith('node_modules/') && existsSync(join(ROOT, name))).sort();
  writeFileSync(join(FRESH, 'LICENSE'), readFileSync(join(ROOT, 'LICENSE')));
  writeFileSync(
    join(FRESH, 'LICENSES.txt'),
    licenceTexts(ROOT, [...bundled, ...[...seen].map((name) => `node_modules/${name}/x`)]),
  );
  // The project's own package.json says "module", and these are not.
  writeFileSync(join(FRESH, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
  for (const name of COMMANDS) chmodSync(join(FRESH, `${name}.js`), 0o755);
  if (isThereAlready()) {
    openToAll(DIST);
  } else {
    openToAll(FRESH);
    await rehearse(FRESH);
    openToAll(FRESH);
    // Whoever loads a thread's code, or starts a service, must not meet a folder that is being emptied.
    if (existsSync(DIST)) renameSync(DIST, OLD);
    renameSync(FRESH, DIST);
  }
} finally {
  for (const folder of [FRESH, OLD]) rmSync(folder, { recursive: true, force: true });
}
// Of no build's name: a comment changes it.
writeFileSync(join(DIST, 'SOURCES'), sourceSums(sources));
console.log(`dist/: ${readdirSync(DIST).filter((name) => name.endsWith('.js')).length} bundles`);
