// Which volume of a container is its root where its run.json has no `root-volume`: Pantavisor mounts all of its volumes alike, and LXC goes by
// `lxc.rootfs.path`. Manifest and configuration come in, the manifest with a root volume goes out. Pure.
import type { LxcEntry } from '../lxc-config/entry.ts';
import { readRootPath } from '../lxc-config/root-path.ts';
import type { Problem } from './revision.ts';
import type { RunDocument } from './run-document.ts';
import { withoutVerity } from './storage-plan.ts';

/** `entries`: of its LXC configuration; undefined: it has none, is only mounted, and any volume does. The same `run` where nothing says which. */
export function withRootVolume(
  container: string,
  run: RunDocument,
  entries: readonly Pick<LxcEntry, 'key' | 'value'>[] | undefined,
): RunDocument {
  if (run['root-volume'] !== undefined) return run;
  const volumes = run.volumes ?? [];
  const root = entries === undefined ? volumes[0] : uppermostOf(container, volumes, entries);
  return root === undefined ? run : { ...run, 'root-volume': root };
}

function uppermostOf(
  container: string,
  volumes: readonly string[],
  entries: readonly Pick<LxcEntry, 'key' | 'value'>[],
): string | undefined {
  const path = readRootPath(entries.findLast(({ key }) => key === 'lxc.rootfs.path')?.value ?? '', container);
  const own = (path.ok ? path.layers : []).filter((layer) => layer.container === container).map(({ file }) => file);
  return own.flatMap((file) => volumes.filter((volume) => withoutVerity(volume) === file))[0];
}

/** Code: MISSING. */
export function rootProblems(container: string, run: RunDocument): readonly Problem[] {
  if (run['root-volume'] !== undefined) return [];
  const message = "is missing; write 'root-volume', or begin lxc.rootfs.path with one of 'volumes'";
  return [{ path: `${container}/run.json.root-volume`, code: 'MISSING', message }];
}
