// A container's volumes, each at <its folder>/volumes/<name>: squashfs files of the revision read-only, folders of disks, and tmpfs; and what
// an extension lies over, at <its folder>/bases.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LoopDevice } from '../../shared/kernel/loop-device.ts';
import type { NamedVolume } from '../../shared/schema/storage.ts';
import { closeVolumes } from './closed-folders.ts';
import { type DiskRoot, markRevision } from './gone-revisions.ts';
import { makingFolders, usingInside } from './inside-path.ts';
import { basePlace, type ContainerPlaces, type Places, stockVolumePath, trailPath, volumePath } from './places.ts';
import type { MountRecord } from './record-store.ts';
import { bindMount, mountSquashfs, mountTmpfs } from './root-mounts.ts';
import { failingStep } from './step-failure.ts';
import { type Tell, volumeFolder } from './stock-volumes.ts';

/** The writable layer over the root filesystem. */
export const OVERLAY_VOLUME = 'lxc-overlay';

/** Of all that is mounted of them. */
export function volumeNames({ rootVolume, squashfs, volumes }: MountRecord): readonly string[] {
  return [rootVolume, ...squashfs, ...volumes.map(({ name }) => name)];
}

/** Where everything of `wanted` is mounted, the root's overlay last. */
export function mountTargets(its: ContainerPlaces, wanted: MountRecord): readonly string[] {
  const names = [...wanted.squashfs, ...wanted.volumes.map(({ name }) => name)];
  const bases = wanted.bases.map((base) => basePlace(its, base));
  return [...names.map((name) => join(its.volumes, name)), ...bases, its.rootfs];
}

export interface VolumeContext {
  readonly places: Places;
  readonly its: ContainerPlaces;
  readonly container: string;
  /** Of a disk that is open; of the storage folder for none. */
  readonly diskRoot: (disk: string | undefined) => DiskRoot;
  /** A squashfs as a block device. */
  readonly attach: (file: string) => LoopDevice;
  /** Of volumes that are the container's since it was Pantavisor's. */
  readonly tell: Tell;
}

/** Throws StepFailure, whose step names the volume; what was mounted until then stays. */
export function mountVolumes(context: VolumeContext, wanted: MountRecord): void {
  const { places, its, container, attach } = context;
  const { revision, rootVolume, squashfs, bases, volumes } = wanted;
  for (const file of [rootVolume, ...squashfs]) {
    const step = file === rootVolume ? 'squashfs' : `squashfs ${file}`;
    const image = trailPath(places, revision, container, file);
    failingStep(step, () => mountSquashfs(image, join(its.volumes, file), attach));
  }
  // The same image as in the container that has it, on one device, and yet a mount of this one's: the stop of either leaves the other alone.
  for (const base of bases) {
    const image = trailPath(places, revision, base.container, base.file);
    const step = `base ${base.container}/${base.file}`;
    failingStep(step, () => mountSquashfs(image, basePlace(its, base), attach));
  }
  for (const volume of volumes) {
    const target = join(its.volumes, volume.name);
    failingStep(`volume ${volume.name}`, () => mountVolume(context, { container, revision }, volume, target));
  }
}

function mountVolume(
  { places, diskRoot, tell }: VolumeContext,
  owner: { readonly container: string; readonly revision: string },
  { persistence, ...volume }: NamedVolume,
  target: string,
): void {
  if (persistence === 'boot') {
    mountTmpfs(target);
    return;
  }
  const { root, isOurs } = diskRoot(volume.disk);
  const kept = { ...volume, persistence };
  const own = volumePath(owner, kept);
  closeVolumes(root, own);
  const folder = volumeFolder(root, { own, stock: stockVolumePath(owner, kept) }, tell);
  if (folder !== own) closeVolumes(root, folder);
  mkdirSync(target, { recursive: true });
  // Whoever else writes to the disk must not choose what is bound into a container.
  const bind = (path: string): void => {
    if (persistence === 'revision' && !isOurs && folder === own) markRevision(places, root, owner.revision);
    bindMount(path, target);
  };
  usingInside(root, folder, bind, makingFolders(0o755));
}
