// Which revision Pantavisor ran on a storage that it leaves to Berth, as far as it is written there.
//   <storage>/boot/uboot.txt    <key>=<value>, each ended by a NUL, for U-Boot's `env import -b`: pv_rev is the last DONE revision. pv_try is
//                               one that was being tried: it was not committed, so nothing comes of it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { revisionName } from '../schema/names.ts';

/** Undefined where nothing says so, or what it says is not there. Throws where it cannot be read. */
export function stockRevision(storage: string): string | undefined {
  const path = join(storage, 'boot/uboot.txt');
  if (!existsSync(path)) return undefined;
  const entries = readFileSync(path, 'utf8').split(/[\0\n]/);
  const named = entries.find((entry) => entry.startsWith('pv_rev='))?.slice('pv_rev='.length);
  const { success, data } = revisionName.safeParse(named);
  return success && existsSync(join(storage, 'trails', data, '.pvr/json')) ? data : undefined;
}
