// What is bundled, and how: one CommonJS file per service, worker and command.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BuildOptions, build, type Plugin, transform } from 'esbuild';

export const ROOT = dirname(import.meta.dirname);

export const SERVICES = ['log-svc', 'ipam-svc', 'net-svc', 'lxc-svc', 'state-svc', 'ctl-svc'];
/** Native addons, and a package that starts its own files as worker threads. */
export const EXTERNAL = ['koffi', 'piscina'];
export const COMMANDS = ['berth', 'pvcontrol'];
/** What is started while somebody waits, and kept as compiled code beside its bundle. */
export const REHEARSED = [...SERVICES, 'berth-run'];

const ENTRIES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(SERVICES.map((name) => [name, `services/${name}/main.ts`])),
  'checksum-worker': 'services/state-svc/checksum-worker.ts',
  'compress-worker': 'services/log-svc/compress-worker.ts',
  boot: 'shared/boot/main.ts',
  'outside-host': 'scripts/sandbox/outside-host.ts',
  berth: 'scripts/berth/main.ts',
  'berth-run': 'scripts/berth/run.ts',
  'berth-pack': 'scripts/berth/pack.ts',
  'berth-check': 'scripts/berth/check.ts',
  pvcontrol: 'scripts/pvcontrol/main.ts',
};

const TARGET = 'node20.19';
const LAZY_ZOD = join(ROOT, 'shared/schema/lazy-zod.ts');

/** Everybody's zod is the lazy one, whose own is the real one. */
export const lazyZod: Plugin = {
  name: 'lazy-zod',
  setup(builder) {
    builder.onResolve({ filter: /^zod\/mini$/ }, ({ importer }) =>
      importer === LAZY_ZOD ? undefined : { path: LAZY_ZOD },
    );
  },
};

/** Each command of `berth` is a bundle of its own: the supervisor is in memory for as long as the device runs, and packs nothing. */
const berthCommands: Plugin = {
  name: 'berth-commands',
  setup(builder) {
    builder.onResolve({ filter: /^\.\/(run|pack|check)\.ts$/ }, ({ path, kind }) =>
      kind === 'dynamic-import'
        ? { path: path.replace(/^\.\/(\w+)\.ts$/, './berth-$1.js'), namespace: 'berth-command' }
        : undefined,
    );
    builder.onLoad({ filter: /./, namespace: 'berth-command' }, ({ path }) => ({
      contents: `import { loadBundle } from './load-bundle.ts'; module.exports = loadBundle(require('node:path').join(__dirname, '${path}'), require);`,
      resolveDir: join(ROOT, 'shared/boot'),
    }));
  },
};

/**
 * What of pino nobody here uses, half of it: destinations of its own, worker threads behind them, redaction, requests and responses of HTTP, and
 * what goes in circles: JSON.stringify throws of that, and pino says so in its place.
 */
const UNUSED_OF_PINO =
  /^(sonic-boom|on-exit-leak-free|worker_threads|@pinojs\/redact|safe-stable-stringify|\.\/(lib\/)?(transport|multistream|req|res|err-with-cause))$/;

const slimPino: Plugin = {
  name: 'slim-pino',
  setup(builder) {
    builder.onResolve({ filter: UNUSED_OF_PINO }, ({ path, importer }) =>
      /\/node_modules\/pino(-std-serializers)?\//.test(importer) ? { path, namespace: 'unused-of-pino' } : undefined,
    );
    builder.onLoad({ filter: /^worker_threads$/, namespace: 'unused-of-pino' }, () => ({
      contents: 'exports.isMainThread = true;',
    }));
    builder.onLoad({ filter: /^safe-stable-stringify$/, namespace: 'unused-of-pino' }, () => ({
      contents: 'exports.configure = () => JSON.stringify;',
    }));
    builder.onLoad({ filter: /./, namespace: 'unused-of-pino' }, ({ path }) => ({
      contents: `module.exports = function unused() { throw new Error('${path} is not in this bundle'); };`,
    }));
  },
};

/** koffi reads Node's own ELF header and tries folders to find its addon, which takes 8 ms of CPU; where Node is glibc's, it is this one. */
const DIRECT_KOFFI = `
const addon = '@koromix/koffi-linux-' + process.arch + '/linux_' + process.arch + '/koffi.node';
try {
  module.exports = require(addon);
} catch {
  module.exports = require('koffi');
}`;

const directKoffi: Plugin = {
  name: 'direct-koffi',
  setup(builder) {
    builder.onResolve({ filter: /^koffi$/ }, ({ namespace }) =>
      namespace === 'direct-koffi' ? { path: 'koffi', external: true } : { path: 'koffi', namespace: 'direct-koffi' },
    );
    builder.onLoad({ filter: /./, namespace: 'direct-koffi' }, () => ({ contents: DIRECT_KOFFI }));
  },
};

/** esbuild copies a built-in module's properties, a getter each, for every file that imports the module itself; process has a hundred of them. */
const globalProcess: Plugin = {
  name: 'global-process',
  setup(builder) {
    builder.onResolve({ filter: /^node:process$/ }, ({ kind }) =>
      kind === 'import-statement' ? { path: 'process', namespace: 'global-process', sideEffects: false } : undefined,
    );
    builder.onLoad({ filter: /./, namespace: 'global-process' }, () => ({ contents: 'export default process;' }));
  },
};

/**
 * V8 keeps the text of a bundle, and each name in it: in packages they are short, which is a seventh of all bytes. Ours stay, so that stack
 * traces can be read without the maps.
 */
const shortNames: Plugin = {
  name: 'short-names',
  setup(builder) {
    builder.onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      // What nobody uses is for the bundle to find out.
      const { code } = await transform(source, {
        minifyIdentifiers: true,
        treeShaking: false,
        target: TARGET,
        sourcemap: 'inline',
        sourcesContent: false,
        sourcefile: path,
      });
      return { contents: code };
    });
  },
};

/** Of every file that a contract is made of: two builds talk to each other only when these are the same. */
export async function contractsHash(): Promise<string> {
  const { metafile } = await build({
    entryPoints: [join(ROOT, 'services/supervisor/contracts.ts')],
    bundle: true,
    platform: 'node',
    packages: 'external',
    metafile: true,
    write: false,
    absWorkingDir: ROOT,
  });
  const hash = createHash('sha256');
  for (const file of Object.keys(metafile.inputs).sort()) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest('hex');
}

export async function bundleOptions(): Promise<BuildOptions> {
  return {
    absWorkingDir: ROOT,
    plugins: [lazyZod, slimPino, directKoffi, globalProcess, berthCommands, shortNames],
    entryPoints: { ...ENTRIES },
    bundle: true,
    platform: 'node',
    target: TARGET,
    format: 'cjs',
    // What is loaded late is required: import() would bring the loader of ES modules into memory.
    supported: { 'dynamic-import': false },
    external: [...EXTERNAL],
    // Instead of the global of this name.
    inject: [join(ROOT, 'shared/time/process-clock.ts')],
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'linked',
    define: { __CONTRACTS_HASH__: JSON.stringify(await contractsHash()) },
    logLevel: 'warning',
    // A function of zod that the lazy one lacks must not turn up on a device.
    logOverride: { 'import-is-undefined': 'error' },
  };
}
