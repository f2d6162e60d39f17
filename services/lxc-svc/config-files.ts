// Files that the state lays over a container's root: _config/<container>/<path>. They become a layer of their own between the image and
// the writable layer, prepared anew at each mount, because the revision's files belong to another user, and because folders of an
// upper layer hide the modes of those below.
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import { memberTexts } from '../../shared/revision/member-texts.ts';
import { readStateDocument } from '../../shared/revision/state-document.ts';
import { findInside, resolveInside } from './inside-path.ts';
import type { Places } from './places.ts';

export interface ConfigFile {
  /** Inside the container, relative. */
  readonly path: string;
  readonly content: { readonly file: string } | { readonly text: string };
}

/** By the state, not by what is found beside it: an interrupted checkout leaves files that belong to nobody. */
export function configFiles({ storage }: Places, revision: string, container: string): readonly ConfigFile[] {
  const trail = join(storage, 'trails', revision);
  const text = readIfPresent(join(trail, '.pvr/json'));
  // Most states have none, and each of many containers would take apart all of it. With a backslash names may be written in other ways.
  if (text === undefined || !(text.includes('_config/') || text.includes('\\'))) return [];
  const { objects, documents } = readStateDocument(JSON.parse(text));
  const folder = `_config/${container}/`;
  const isIts = (path: string): boolean => path.startsWith(folder);
  // As they are written: a number that is read and written again may be another one.
  const inline = [...documents.keys()].some(isIts) ? memberTexts(text) : new Map<string, string>();
  const written = [...inline].filter(([path]) => isIts(path) && documents.has(path));
  return [
    ...[...objects.keys()].filter(isIts).map((path) => ({
      path: path.slice(folder.length),
      content: { file: join(trail, path) },
    })),
    ...written.map(([path, document]) => ({ path: path.slice(folder.length), content: { text: document } })),
  ];
}

/**
 * Makes `folder` the layer, whatever it was. `lowers`: what it is laid over, the uppermost first. A file takes owner and mode of the one
 * that it replaces; a new one is root's and 0644. Folders are as in the image. Throws what the system says.
 */
export function prepareFiles(files: readonly ConfigFile[], folder: string, lowers: readonly string[]): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o755 });
  copyAttributes('', folder, lowers, 0o755);
  for (const { path, content } of files) {
    // Where /lib is a link to usr/lib, a folder of that name would hide it.
    const parent = resolveInside(lowers, dirname(path));
    makeLayerFolders(parent, folder, lowers);
    const inside = join(parent, basename(path));
    const target = join(folder, inside);
    if ('file' in content) copyFileSync(content.file, target);
    else writeFileSync(target, content.text);
    copyAttributes(inside, target, lowers, 0o644);
  }
}

function makeLayerFolders(parent: string, folder: string, lowers: readonly string[]): void {
  const parts = parent.split('/').filter((part) => part !== '');
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const inside = parts.slice(0, depth).join('/');
    const target = join(folder, inside);
    if (findInside([folder], inside) !== undefined) continue;
    mkdirSync(target);
    copyAttributes(inside, target, lowers, 0o755);
  }
}

function copyAttributes(inside: string, target: string, lowers: readonly string[], freshMode: number): void {
  const stats = findInside(lowers, inside)?.stats;
  const isSame = freshMode === 0o755 ? stats?.isDirectory() : stats?.isFile();
  // The owner first: chown(2) clears setuid bits.
  if (stats !== undefined && isSame === true) chownSync(target, stats.uid, stats.gid);
  else chownSync(target, 0, 0);
  chmodSync(target, stats !== undefined && isSame === true ? stats.mode & 0o7777 : freshMode);
}
