// `berth pack`: source folders become a revision in a storage folder, or an installable archive. Nothing is written before all of it is checked.
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Problem } from '../../shared/revision/revision.ts';
import { REVISION_NAME_RULE, revisionName } from '../../shared/schema/names.ts';
import { asksForHelp, wrongWords } from './command-line.ts';
import { ROOT_FILE } from './pack-arguments.ts';
import { PackFailure } from './pack-command.ts';
import { makeImage, makeRootfs } from './pack-rootfs.ts';
import { readSigner, type Signer, signedRevision } from './pack-signature.ts';
import { readSources, type Source } from './pack-source.ts';
import { packedRevision, squashfsOf, validateSource } from './pack-state.ts';
import { storageRefusal, writeToStorage } from './pack-storage.ts';
import { createProgressBar } from './progress-bar.ts';

export const PACK_USAGE = `usage: berth pack SRC... -o OUT [--revision REV] [--force] [--unchecked]
                  [--sign KEY [--x5c FILE]]

  SRC             a folder with device.json and containers/<name>/{args.json,
                  rootfs/ or rootfs.list or root.squashfs, config/, volumes/}. Where none has a device.json, and a
                  container names a pool, the revision gets that of a new device, with the pool pvcnet
  -o OUT          a storage folder, made when it is not there, or an archive when it ends in .tgz or .tar.gz
  --revision REV  the revision's name in the storage folder (0)
  --force         replace a revision or an archive of that name with other content; a revision only where no Berth runs
  --unchecked     write a revision that breaks the rules, with its errors as warnings: to test
                  what a device does with it. Sources that cannot be read are refused all the same
  --sign KEY      sign all of it with the private key in this PEM file (RSA of 2048 bits or more; EC P-256, P-384, P-521)
  --x5c FILE      send the certificates of this PEM file along, that of the key first; without it a device needs pub.pem

Temporary files go to TMPDIR (${tmpdir()}).`;

interface PackOptions {
  readonly sources: readonly string[];
  readonly out: string;
  readonly revision: string;
  readonly force: boolean;
  readonly unchecked: boolean;
  readonly signer: Signer | undefined;
}

/** Answers the exit code: 0 packed or unchanged, 1 refused, 2 wrong use. */
export async function pack(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    console.log(PACK_USAGE);
    return 0;
  }
  const options = parseOptions(argv);
  if ('wrong' in options) {
    console.error(`berth pack: ${options.wrong}\nSee berth pack --help.`);
    return 2;
  }
  const source = readSources(options.sources);
  const parsed = validateSource(source);
  // Without a sound source there is nothing to write, whatever it would mean.
  const isWritable = parsed.ok || (options.unchecked && source.problems.length === 0);
  warn(source.warnings);
  if (!isWritable) return refuse(parsed.problems);
  warn(parsed.ok ? parsed.warnings : parsed.problems);
  try {
    await packInto(options, source);
    return 0;
  } catch (error) {
    if (!isAnswerable(error)) throw error;
    console.error(`berth pack: ${error.message}`);
    return 1;
  }
}

function parseOptions(argv: readonly string[]): PackOptions | { readonly wrong: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        output: { type: 'string', short: 'o' },
        revision: { type: 'string', default: '0' },
        force: { type: 'boolean', default: false },
        unchecked: { type: 'boolean', default: false },
        sign: { type: 'string' },
        x5c: { type: 'string' },
      },
    });
    const { output, revision, force, unchecked } = values;
    if (positionals.length === 0)
      return { wrong: 'SRC is missing: name a folder with containers/ and maybe a device.json' };
    // Empty by a variable that is not set: it does not mean the folder that somebody happens to be in.
    if (output === undefined || output === '')
      return { wrong: '-o is missing: name a storage folder, or an archive ending in .tgz or .tar.gz' };
    if (!revisionName.safeParse(revision).success) {
      return { wrong: `--revision '${revision}': must be ${REVISION_NAME_RULE}, or locals/ and such a name` };
    }
    if (revision === 'current')
      return { wrong: "--revision 'current' is what the API calls the running one; name another" };
    const missing = positionals.find((path) => !isFolder(path));
    if (missing !== undefined) {
      return { wrong: `${missing || "''"}: ${existsSync(missing) ? 'is a file; name a folder' : 'no such folder'}` };
    }
    const out = resolve(output);
    if (!isArchive(out)) {
      if (isOtherArchive(out))
        return { wrong: `${out}: archives are .tgz or .tar.gz, both the same; name one of these` };
      const refusal = storageRefusal(out);
      if (refusal !== undefined) return { wrong: refusal };
    } else if (!existsSync(dirname(out))) {
      return { wrong: `${dirname(out)}: no such folder` };
    } else if (isFolder(out)) {
      return { wrong: `${out} is a folder; name an archive, or a storage folder that does not end so` };
    }
    const signer = readSigner(values.sign, values.x5c);
    if (signer !== undefined && 'wrong' in signer) return signer;
    return { sources: positionals.map((path) => resolve(path)), out, revision, force, unchecked, signer };
  } catch (error) {
    return { wrong: wrongWords(error) };
  }
}

const isArchive = (out: string): boolean => /\.(?:tgz|tar\.gz)$/.test(out);
/** Named by who means a file, and would find a storage folder of that name. */
const isOtherArchive = (out: string): boolean => /\.(?:tar(?:\.\w+)?|tbz2?|txz|zip)$/.test(out) && !isFolder(out);
const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

function warn(warnings: readonly Problem[]): void {
  for (const { path, message } of warnings) console.error(`warning: ${path}: ${message}`);
}

function refuse(problems: readonly Problem[]): number {
  for (const { path, message } of problems) console.error(`${path}: ${message}`);
  console.error(`berth pack: ${problems.length} ${problems.length === 1 ? 'error' : 'errors'}, nothing was written`);
  return 1;
}

async function packInto({ out, revision, force, signer }: PackOptions, source: Source): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), 'berth-pack-'));
  const forget = removeOnSignals(temporary);
  try {
    const packed = signedRevision(await packedRevision(source, await makeAllImages(source, temporary)), signer);
    if (isArchive(out)) {
      const { writeArchive } = await import('./pack-archive.ts');
      const outcome = await writeArchive(out, packed, force, temporary);
      console.log(`${outcome}: ${out}, ${packed.objects.size} objects`);
      return;
    }
    const outcome = await writeToStorage(out, revision, packed, force);
    console.log(`${outcome}: revision ${revision} in ${out}, ${packed.objects.size} objects`);
  } finally {
    forget();
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Path in the revision → file. */
async function makeAllImages(source: Source, temporary: string): Promise<ReadonlyMap<string, string>> {
  const { containers } = source;
  const count = containers.flatMap(({ name }) => squashfsOf(source, name)).length;
  const bar = process.stderr.isTTY ? createProgressBar(process.stderr, count) : undefined;
  const progressOf = (what: string) =>
    bar === undefined ? undefined : (fraction: number) => bar.update(what, fraction);
  const made = new Map<string, string>();
  try {
    for (const container of containers) {
      const { name, volumes } = container;
      made.set(`${name}/${ROOT_FILE}`, await makeRootfs(container, temporary, progressOf(name)));
      // No container's name begins with a dot.
      const folder = join(temporary, '.volumes', name);
      if (volumes.size > 0) mkdirSync(folder, { recursive: true });
      for (const [file, volume] of volumes) {
        made.set(`${name}/${file}`, await makeImage(volume, join(folder, file), progressOf(`${name}/${file}`)));
      }
    }
  } finally {
    bar?.clear();
  }
  return made;
}

/** Ctrl-C must not leave a root filesystem in the temporary folder. Answers how to stop caring. */
function removeOnSignals(folder: string): () => void {
  const end = (signal: NodeJS.Signals): void => {
    rmSync(folder, { recursive: true, force: true });
    process.off('SIGINT', end).off('SIGTERM', end);
    process.kill(process.pid, signal);
  };
  process.on('SIGINT', end).on('SIGTERM', end);
  return () => void process.off('SIGINT', end).off('SIGTERM', end);
}

/** What the system refused (EACCES, ENOSPC, …) names the path; the rest is a bug and keeps its stack. */
function isAnswerable(error: unknown): error is Error {
  return error instanceof PackFailure || (error instanceof Error && 'syscall' in error);
}
