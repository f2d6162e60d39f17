// What lies below <storage>/logs, and tidying what a crash left there.
import { readdirSync, rmdirSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { isPartName, parseRotatedName } from './rotated-name.ts';
import type { StoredFile } from './size-budget.ts';

/** All regular files, links not followed. What vanishes meanwhile, or cannot be read, is left out. */
export function scanFolder(root: string): StoredFile[] {
  return filesBelow(root, '').flatMap((path) => {
    try {
      const { size, mtimeMs } = statSync(join(root, path));
      return [{ path, bytes: size, changedMs: mtimeMs }];
    } catch {
      return [];
    }
  });
}

function filesBelow(root: string, folder: string): string[] {
  const entries = readFolder(join(root, folder));
  return entries.flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return filesBelow(root, path);
    return entry.isFile() ? [path] : [];
  });
}

function readFolder(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

/**
 * After a crash in the middle of a compression: what is not whole goes, and where both the compressed file and its original are there, the
 * original goes, because the compressed one got its name when it was whole. Answers the rotated files that are not compressed. What cannot be
 * removed stays until the next time, and `say` hears why.
 */
export function tidyCompressions(root: string, files: readonly StoredFile[], say: (line: string) => void): string[] {
  const names = new Set(files.map(({ path }) => path));
  const left: string[] = [];
  for (const { path } of files) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const isPlain = parseRotatedName(name)?.compressed === false;
    if (isPartName(name) || (isPlain && names.has(`${path}.gz`))) tidy(join(root, path), say);
    else if (isPlain) left.push(join(root, path));
  }
  return left;
}

function tidy(path: string, say: (line: string) => void): void {
  try {
    // rmSync of Node 24 has no words for EROFS.
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    say(`${path} stays, which a compression left behind: ${reasonOf(error)}`);
  }
}

/**
 * With the folders that are empty then, up to `root`; not those of the running `revision`, which containers have mounted. Throws what
 * the file system throws.
 */
export function removeFile(root: string, path: string, revision: string | undefined): void {
  rmSync(join(root, path), { force: true });
  if (revision !== undefined && path.startsWith(`${revision}/`)) return;
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    try {
      rmdirSync(join(root, folder));
    } catch {
      return;
    }
  }
}
