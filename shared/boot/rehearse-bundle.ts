// Writes down the code that V8 compiles of a bundle, where load-bundle.ts looks for it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { cachePath, compile, evaluate, type Require } from './load-bundle.ts';

/**
 * Loads it, and writes at the end of this process: into `file` what has run until then, of a service that has really started; otherwise all
 * functions, not only those that loading it calls.
 */
export function rehearseBundle(bundle: string, file: string | undefined, require: Require): unknown {
  if (file === undefined) setFlagsFromString('--no-lazy');
  const script = compile(bundle, undefined);
  // Services have the default, and V8 refuses what was written down under another one.
  setFlagsFromString('--lazy');
  process.once('exit', () => {
    const path = file ?? cachePath(bundle);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, script.createCachedData());
  });
  return evaluate(script, bundle, require);
}
