// Where exports appear. Pure.

import { settingsOf } from '../../shared/config/launched-settings.ts';
import { absolutePath } from '../../shared/schema/names.ts';
import type { Launch } from '../../shared/service/launch.ts';

/**
 * Pantavisor's /exports is a folder of the device's own root: nothing for a guest, unless somebody says so. Undefined: the tree's own
 * <rundir>/exports, also for what leads up again by `..`.
 */
export function exportsFolder({ mode, settings = [] }: Pick<Launch, 'mode' | 'settings'>): string | undefined {
  const isSaid = settings.some(({ key }) => key === 'PV_DISK_EXPORTSDIR');
  if (mode !== 'embedded' && !isSaid) return undefined;
  const folder = settingsOf({ settings }).value('PV_DISK_EXPORTSDIR');
  return folder !== '/' && absolutePath.safeParse(folder).success ? folder.replace(/\/+$/, '') : undefined;
}
