// Whether this machine has what the revision's disks need: asked before anything is mounted, because a revision that cannot keep what it
// promises to keep is refused as a whole. A disk with nothing on it promises nothing: lists are made for more devices than one.
import type { Problem, Revision } from '../../shared/revision/revision.ts';
import type { Ask, Peers } from './peers.ts';

/** Code: DISK_UNAVAILABLE. */
export async function checkDisks(
  revision: Pick<Revision, 'disks' | 'containers'>,
  { lxc }: { readonly lxc: Pick<Peers['lxc'], 'checkDisks'> },
  ask: Ask,
): Promise<readonly Problem[]> {
  const used = new Set(revision.containers.flatMap(({ storage }) => storage.disks.map(({ name }) => name)));
  const disks = revision.disks.filter(({ disk }) => used.has(disk.name));
  if (disks.length === 0) return [];
  const answer = await ask(() => lxc.checkDisks({ disks: disks.map(({ disk }) => disk) }));
  if (!answer.ok) return [];
  return answer.value.unavailable.flatMap(({ disk: name, reason }) => {
    const path = disks.find(({ disk }) => disk.name === name)?.path ?? 'device.json.disks';
    const message = `disk '${name}' is not available on this device: ${reason}`;
    return [{ path, code: 'DISK_UNAVAILABLE', message }];
  });
}
