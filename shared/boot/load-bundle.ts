// Loads a bundle with the code that V8 compiled from it before, when there is such a cache beside it and V8 takes it.
//
//   <folder>/ctl-svc.js
//   <folder>/cache/<version of Node>-<architecture>/ctl-svc.cache
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { Script } from 'node:vm';

const [HEAD, TAIL] = ['(function (exports, require, module, __filename, __dirname) { ', '\n})'];

/** V8 itself refuses what another version, other flags or another length of source left. */
export function cachePath(bundle: string): string {
  const made = `${process.version}-${process.arch}`;
  return join(dirname(bundle), 'cache', made, basename(bundle).replace(/\.js$/, '.cache'));
}

/** Undefined when there is none, or the bundle was changed since: V8 looks no closer than at its length. */
function readCache(bundle: string): Buffer | undefined {
  try {
    const path = cachePath(bundle);
    return statSync(path).mtimeMs < statSync(bundle).mtimeMs ? undefined : readFileSync(path);
  } catch {
    return undefined;
  }
}

export function compile(bundle: string, cachedData: Buffer | undefined): Script {
  // esbuild writes nothing but ASCII, which takes half the memory as such.
  const source = `${HEAD}${readFileSync(bundle, 'latin1')}${TAIL}`;
  // V8 keeps the name with the code, and a bundle is built, packed and installed in folders that differ.
  const where = { filename: basename(bundle), columnOffset: -HEAD.length };
  return new Script(source, cachedData === undefined ? where : { ...where, cachedData });
}

/** Of the module that starts it, which lies beside it: node:module would bring the loader of ES modules into memory, 50 KB of each process. */
export type Require = (path: string) => unknown;

export function evaluate(script: Script, bundle: string, require: Require): unknown {
  const loaded = { exports: {}, filename: bundle };
  const body: unknown = script.runInThisContext();
  const values = [loaded.exports, require, loaded, bundle, dirname(bundle)];
  if (typeof body === 'function') Reflect.apply(body, loaded.exports, values);
  return loaded.exports;
}

/** What the CommonJS bundle exports. `bundle`: an absolute path that ends in `.js`, in the folder of the module whose `require` this is. */
export function loadBundle(bundle: string, require: Require): unknown {
  const cache = readCache(bundle);
  // What counts the lines that run wants them as Node itself loads them.
  if (cache === undefined || process.env.NODE_V8_COVERAGE !== undefined) return require(bundle);
  return evaluate(compile(bundle, cache), bundle, require);
}
