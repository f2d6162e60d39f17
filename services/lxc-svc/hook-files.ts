// Which hooks there are. They run as root with all that lxc-svc may do, so only root may have put them where they are.
import { lstatSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { settingsOf } from '../../shared/config/launched-settings.ts';
import type { Settings } from '../../shared/config/settings.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { absolutePath } from '../../shared/schema/names.ts';
import type { Launch } from '../../shared/service/launch.ts';

export interface HookFile {
  readonly name: string;
  readonly path: string;
}

/** What is in the folder, or on the way to it, and is not run. `name`: of the file, `''` for the folder. */
export interface RefusedHook {
  readonly name: string;
  readonly reason: string;
  /** It would be run, if somebody had not been careless; anything else may be there on purpose. */
  readonly unsafe: boolean;
}

export interface FoundHooks {
  /** In the order in which they run: by the bytes of their names. */
  readonly hooks: readonly HookFile[];
  readonly refused: readonly RefusedHook[];
}

/** As in Pantavisor, below its folder of libraries. Undefined: there are none, also for what leads up again by `..`. */
export function hooksFolder(launch: Pick<Launch, 'settings'>): string | undefined {
  const libraries = settingsOf(launch).value('PV_SYSTEM_LIBDIR');
  return absolutePath.safeParse(libraries).success ? join(libraries, 'pv/hooks/system.d') : undefined;
}

/** From a second to an hour, which is as long as anybody waits for hooks. */
export function hookTimeoutMs(settings: Settings): number {
  return Math.min(3600, Math.max(1, settings.value('BERTH_HOOK_TIMEOUT'))) * 1000;
}

/** Looked at anew for every event. A folder that is not there has none. */
export function findHooks(folder: string | undefined): FoundHooks {
  if (folder === undefined) return { hooks: [], refused: [] };
  const hooks: HookFile[] = [];
  const refused: RefusedHook[] = [];
  try {
    const real = realpathSync(folder);
    const wrong = unsafeWay(real);
    if (wrong !== undefined) return { hooks, refused: [{ name: '', reason: wrong, unsafe: true }] };
    for (const name of readdirSync(real).sort(byBytes)) {
      const path = join(real, name);
      const found = lstatSync(path);
      const [other, unsafe] = [whyNoHook(found), notRootsAlone(found)];
      if (other !== undefined) refused.push({ name, reason: other, unsafe: false });
      else if (unsafe !== undefined) refused.push({ name, reason: unsafe, unsafe: true });
      else hooks.push({ name, path });
    }
  } catch (error) {
    const isAbsent = errorCode(error) === 'ENOENT' && hooks.length === 0;
    if (!isAbsent)
      return { hooks: [], refused: [{ name: '', reason: `cannot be read: ${String(error)}`, unsafe: true }] };
  }
  return { hooks, refused };
}

/** As strcmp(3), whatever language the machine speaks. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function whyNoHook(found: Stats): string | undefined {
  if (found.isSymbolicLink()) return 'it is a symbolic link; put the file itself here';
  if (!found.isFile()) return found.isDirectory() ? 'it is a folder' : 'it is no regular file';
  if ((found.mode & 0o100) === 0) return 'it is not executable for its owner; chmod 0755 makes it a hook';
  return undefined;
}

function notRootsAlone({ uid, mode }: Stats): string | undefined {
  if (uid !== 0) return `it belongs to user ${uid}, and would run as root; chown root`;
  if ((mode & 0o022) !== 0) return 'others than root may write to it, and it would run as root; chmod go-w';
  return undefined;
}

/** Whoever may rename a folder above it puts another one in its place; in one with the sticky bit only owners may. */
function unsafeWay(folder: string): string | undefined {
  for (let path = folder; ; path = dirname(path)) {
    const found = lstatSync(path);
    const isShared = path !== folder && found.uid === 0 && (found.mode & 0o1000) !== 0;
    const reason = isShared ? undefined : notRootsAlone(found);
    if (reason !== undefined) return `${path}: ${reason}`;
    if (path === '/') return undefined;
  }
}
