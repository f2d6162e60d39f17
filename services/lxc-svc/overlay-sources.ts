// Overlays of volumes that a container's entries mount, mounted to places of Berth's own while it is started, as what lies in volumes is
// bound there (mount-sources.ts): links in the layers lead LXC, as root, to the host's folders. In: layers, as folders and what is meant in
// them. Out: the overlay, at its place.
import { chmodSync, chownSync, lstatSync, statSync } from 'node:fs';
import { type BeforeOpening, makingFolders, usingInside, usingResolved } from './inside-path.ts';
import { mountLayers } from './root-mounts.ts';

interface Layer {
  /** A folder that nobody but Berth can replace, and what is meant in it: links are followed as if it was the root. */
  readonly root: string;
  readonly inside: string;
  /** Whether it is the host's, where no link is followed, as a container may have left it. */
  readonly isHosts: boolean;
}

export interface OverlaySource {
  /** What it is over, as the configuration writes it. */
  readonly name: string;
  /** Where LXC finds it. */
  readonly place: string;
  /** What the mount table calls its source. */
  readonly device: string;
  /** The uppermost first. */
  readonly lowers: readonly Layer[];
  /** Folders of a volume of the container's own; undefined: nobody writes to it. */
  readonly writable: { readonly root: string; readonly upper: string; readonly work: string } | undefined;
  /** Of the overlay, but for its layers. */
  readonly layering: readonly string[];
  /** Whether the container starts without it where a layer is missing. */
  readonly isOptional: boolean;
}

/** Throws LinkFound, and what the system says. */
export function mountOverlaySource({ place, device, lowers, writable, layering }: OverlaySource): void {
  usingLayers(lowers, (found) => {
    const mountOn = (upper?: string, work?: string): void =>
      mountLayers({ device, target: place, lowers: found, upper, work, layering });
    const [uppermost] = found;
    if (writable === undefined || uppermost === undefined) {
      mountOn();
      return;
    }
    const { root, upper, work } = writable;
    usingMade(root, upper, uppermost, (upperFolder) =>
      usingInside(root, work, (workFolder) => mountOn(upperFolder, workFolder), makingFolders(0o755)),
    );
  });
}

function usingLayers(
  [next, ...rest]: readonly Layer[],
  use: (paths: readonly string[]) => void,
  found: readonly string[] = [],
): void {
  if (next === undefined) {
    use(found);
    return;
  }
  const { root, inside, isHosts } = next;
  (isHosts ? usingInside : usingResolved)(root, inside, (path) => usingLayers(rest, use, [...found, path]));
}

/** A folder that is made is like `model`: what is seen of an overlay's root is its upper layer's owner and mode. */
function usingMade(root: string, inside: string, model: string, use: (path: string) => void): void {
  let isNew = false;
  const make = makingFolders(0o755);
  const before: BeforeOpening = (path, isLast) => {
    if (isLast) isNew = lstatSync(path, { throwIfNoEntry: false }) === undefined;
    make(path, isLast);
  };
  const useLike = (path: string): void => {
    if (isNew) {
      const { uid, gid, mode } = statSync(model);
      chownSync(path, uid, gid);
      chmodSync(path, mode & 0o7777);
    }
    use(path);
  };
  usingInside(root, inside, useLike, before);
}
