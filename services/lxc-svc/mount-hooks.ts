// Programs that Pantavisor has LXC run in each container's mounts (`hooks_lxc-mount.d` in its folder of libraries). Nobody runs them here: its
// own make exports and device nodes, which are Berth's work. Out: the names of others, to be told of.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FOLDER = 'hooks_lxc-mount.d';
const STOCK = ['export.sh', 'mdev.sh', 'remount.sh'];

/** `hooks`: the folder of the system's hooks, `<libraries>/pv/hooks/system.d`. Answers paths. */
export function ignoredMountHooks(hooks: string | undefined): readonly string[] {
  if (hooks === undefined) return [];
  const folder = join(dirname(dirname(hooks)), FOLDER);
  try {
    const others = readdirSync(folder).filter((name) => !STOCK.includes(name));
    return others.sort().map((name) => join(folder, name));
  } catch {
    // As nearly everywhere, it is not there.
    return [];
  }
}
