// Whether this machine has what the revision's disks need: asked before anything is mounted, because a revision that cannot keep what it
// promises to keep is refused as a whole.
import type { Problem, Revision } from '../../shared/revision/revision.ts';
import type { Ask, Peers } from './peers.ts';

/** Code: DISK_UNAVAILABLE. */
export async function checkDisks(
  { disks }: Pick<Revision, 'disks'>,
  { lxc }: { readonly lxc: Pick<Peers['lxc'], 'checkDisks'> },
  ask: Ask,
): Promise<readonly Problem[]> {
  if (disks.length === 0) return [];
  const answer = await ask(() => lxc.checkDisks({ disks: disks.map(({ disk }) => disk) }));
  if (!answer.ok) return [];
  return answer.value.unavailable.flatMap(({ disk: name, reason }) => {
    const path = disks.find(({ disk }) => disk.name === name)?.path ?? 'device.json.disks';
    const message = `disk '${name}' is not available on this device: ${reason}`;
    return [{ path, code: 'DISK_UNAVAILABLE', message }];
  });
}
