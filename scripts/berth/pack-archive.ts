// Writes a packed revision as an installable archive: a gzipped tar of `json`, the state, and objects/<sha256>.
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { PackFailure, runProgram } from './pack-command.ts';
import { type PackedRevision, sha256OfFile } from './pack-state.ts';
import type { Outcome } from './pack-storage.ts';

/** The same content gives the same bytes. */
const REPRODUCIBLE = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '--mode=u=rwX,go=rX'];

/** `temporary` is an existing folder that the caller removes. Throws PackFailure when another archive is there and `force` is not set. */
export async function writeArchive(
  archive: string,
  packed: PackedRevision,
  force: boolean,
  temporary: string,
): Promise<Outcome> {
  const folder = join(temporary, 'archive');
  const tar = join(temporary, 'archive.tar');
  const zipped = join(temporary, 'archive.tgz');
  await mkdir(join(folder, 'objects'), { recursive: true });
  await writeFile(join(folder, 'json'), `${JSON.stringify(packed.state, undefined, 2)}\n`);
  for (const [digest, content] of packed.objects) {
    const path = join(folder, 'objects', digest);
    if ('text' in content) await writeFile(path, content.text);
    else await copyFile(content.file, path);
  }
  await runProgram('tar', ['--create', `--file=${tar}`, `--directory=${folder}`, ...REPRODUCIBLE, 'json', 'objects']);
  await pipeline(createReadStream(tar), createGzip({ level: 9 }), createWriteStream(zipped));
  if (existsSync(archive)) {
    if ((await sha256OfFile(archive)) === (await sha256OfFile(zipped))) return 'unchanged';
    if (!force) throw new PackFailure(`${archive} is there with other content; take another name or --force`);
  }
  await moveBeside(zipped, archive);
  return 'written';
}

/** The temporary folder may be on another file system, so it is copied beside its place first. */
async function moveBeside(from: string, to: string): Promise<void> {
  const beside = `${to}.${process.pid}.new`;
  try {
    await copyFile(from, beside);
    await rename(beside, to);
  } finally {
    await rm(beside, { force: true });
  }
}
