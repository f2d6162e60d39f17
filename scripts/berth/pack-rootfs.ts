// Makes a container's root filesystem and further volumes: stages what a rootfs.list names, and packs the folder with mksquashfs(1); a
// ready image is taken as it is.
import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { PackFailure, runProgram } from './pack-command.ts';
import type { ContainerSource, FoundEntry, VolumeSource } from './pack-source.ts';

/** The same content gives the same bytes: no owners, times or attributes of this machine. */
const REPRODUCIBLE = ['-all-root', '-no-xattrs', '-mkfs-time', '0', '-all-time', '0', '-noappend'];

/** `onProgress` gets fractions of 0–1 when given. `temporary` is an existing folder that the caller removes. */
export async function makeRootfs(
  { name, rootfs }: ContainerSource,
  temporary: string,
  onProgress: ((fraction: number) => void) | undefined,
): Promise<string> {
  const squashfs = join(temporary, `${name}.squashfs`);
  if (rootfs.kind !== 'list') return await makeImage(rootfs, squashfs, onProgress);
  const folder = join(temporary, name);
  stage(name, rootfs.entries, folder);
  return await makeImage({ kind: 'folder', folder }, squashfs, onProgress);
}

/** Answers `squashfs`, which is to be made. */
export async function makeImage(
  source: VolumeSource,
  squashfs: string,
  onProgress: ((fraction: number) => void) | undefined,
): Promise<string> {
  if (source.kind === 'image') {
    copyFileSync(source.image, squashfs);
    onProgress?.(1);
    return squashfs;
  }
  const { folder } = source;
  const args = [folder, squashfs, ...REPRODUCIBLE];
  if (onProgress === undefined) await runProgram('mksquashfs', [...args, '-no-progress']);
  else await runProgram('mksquashfs', args, (text) => reportPercentage(text, onProgress));
  onProgress?.(1);
  return squashfs;
}

/** mksquashfs 4.5 draws its own bar, `[===  ] 12/40  30%`; later ones can print bare figures, earlier ones cannot. */
function reportPercentage(text: string, onProgress: (fraction: number) => void): void {
  const percentages = [...text.matchAll(/(\d{1,3})%/g)];
  const last = percentages.at(-1)?.[1];
  if (last !== undefined) onProgress(Number(last) / 100);
}

/** The list's parser has seen to it that nothing is placed below a link. */
function stage(name: string, entries: readonly FoundEntry[], folder: string): void {
  makeFolder(folder, 0o755);
  for (const entry of entries) {
    const path = join(folder, entry.path);
    try {
      makeParents(folder, dirname(entry.path));
      place(entry, path);
    } catch (error) {
      throw new PackFailure(`containers/${name}/rootfs.list:${entry.line}: ${reasonOf(error)}`);
    }
  }
}

function place(entry: FoundEntry, path: string): void {
  switch (entry.kind) {
    case 'dir':
      makeFolder(path, entry.mode);
      break;
    case 'link':
      symlinkSync(entry.target, path);
      break;
    case 'file':
      copyFileSync(entry.source, path);
      chmodSync(path, entry.mode);
  }
}

/** One by one, so that each gets 0755 whatever the umask is. */
function makeParents(folder: string, inside: string): void {
  let path = folder;
  for (const part of inside.split('/').filter((each) => each !== '')) {
    path = join(path, part);
    if (mkdirSync(path, { recursive: true }) !== undefined) chmodSync(path, 0o755);
  }
}

function makeFolder(path: string, mode: number): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
}
