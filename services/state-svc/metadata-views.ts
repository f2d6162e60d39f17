// Metadata as files that containers see under /pantavisor, kept as the store is; each container has folders of its own, so that
// whatever happens in one reaches no other:
//   <rundir>/meta/                          for Berth alone: what is below is reached through mounts
//   <rundir>/meta/<container>/user-meta/    a file per key that it may see
//   <rundir>/meta/<container>/device-meta/  the same
//   <rundir>/meta/.new                      a file that is being written
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, whyUnwritten } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { METADATA_KINDS, type MetadataKind } from '../../shared/schema/metadata.ts';
import type { Clock } from './clock.ts';
import type { Metadata } from './metadata.ts';
import type { ReadonlyEntries } from './metadata-limits.ts';
import { type Viewer, viewOf } from './metadata-view.ts';

export interface MetadataViews {
  /** Exactly these containers see metadata from now on. When it returns, their folders are there. */
  show(viewers: readonly Viewer[]): void;
  /** What Berth says about the device changed; containers see it a moment later. */
  refresh(): void;
  health(): readonly HealthReason[];
  close(): void;
}

export interface ViewsContext {
  /** <rundir>/meta, which is there. */
  readonly folder: string;
  readonly metadata: Metadata;
  /** Between looks at what Berth says about the device, which changes by itself; asked only while somebody sees it. */
  readonly intervalMs: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

const REFRESH_MS = 50;

/** The container's root need not have a capability to read them; nobody in it may write to them. */
const FILE_MODE = 0o444;
const FOLDER_MODE = 0o755;

export function openMetadataViews({ folder, metadata, intervalMs, clock, log }: ViewsContext): MetadataViews {
  chmodSync(folder, 0o700);
  let viewers: readonly Viewer[] = [];
  /** What is in each folder, as far as it was written by us. */
  const written = new Map<string, Map<string, string>>();
  /** Why folders of a kind are not as they should be. */
  const troubles = new Map<MetadataKind, string>();
  let cancel: () => void = () => undefined;
  let cancelRefresh: (() => void) | undefined;

  const folderOf = (container: string, kind: MetadataKind): string => `${folder}/${container}/${kind}-meta`;
  /** `kept`: names of files that stay as they are. */
  const fill = (path: string, wanted: ReadonlyEntries, kept: ReadonlyEntries): void => {
    const isMade = makeFolder(path);
    const present = isMade ? new Map<string, string>() : (written.get(path) ?? readFolder(path));
    written.set(path, present);
    for (const name of present.keys()) {
      if (wanted.has(name) || kept.has(name)) continue;
      rmSync(join(path, name), { recursive: true, force: true });
      present.delete(name);
    }
    for (const [name, value] of wanted) {
      if (present.get(name) === value) continue;
      // What was left by half can be read-only.
      rmSync(join(folder, '.new'), { force: true });
      writeFileSync(join(folder, '.new'), value, { mode: FILE_MODE });
      renameSync(join(folder, '.new'), join(path, name));
      present.set(name, value);
    }
  };
  /** Whether what Berth says is in the view of anybody: of a container with role mgmt, or one called like the first part of a key. */
  const isBerthHeard = (): boolean =>
    viewers.some(({ name, roles }) => roles.includes('mgmt') || (written.get(folderOf(name, 'device'))?.size ?? 0) > 0);
  const fillAll = (kind: MetadataKind): void => {
    const names = viewers.map(({ name }) => name);
    const entries = metadata.entries(kind);
    const untold = new Map(metadata.untold(kind, entries).map((key) => [key, '']));
    const before = troubles.get(kind);
    troubles.delete(kind);
    for (const viewer of viewers) {
      const path = folderOf(viewer.name, kind);
      try {
        fill(path, viewOf(entries, viewer, names), viewOf(untold, viewer, names));
      } catch (error) {
        troubles.set(kind, whyUnwritten(error));
      }
    }
    const trouble = troubles.get(kind);
    if (trouble !== undefined && before === undefined) log.error(`containers see old ${kind}-meta: ${trouble}`);
    look();
  };
  /** Also what could not be written is tried again then. */
  const look = (): void => {
    cancel();
    if (troubles.size === 0 && !viewers.some(({ roles }) => roles.includes('mgmt'))) return;
    cancel = clock.after(intervalMs(), () => {
      for (const kind of METADATA_KINDS) if (kind === 'device' || troubles.has(kind)) fillAll(kind);
    });
  };

  metadata.onChange((kind) => fillAll(kind));
  return {
    show(next) {
      viewers = next;
      written.clear();
      const names = new Set(viewers.map(({ name }) => name));
      for (const left of readdirSync(folder)) {
        if (!names.has(left)) rmSync(join(folder, left), { recursive: true, force: true });
      }
      for (const kind of METADATA_KINDS) fillAll(kind);
    },
    refresh() {
      // A container on its way up changes the status of the revision five times in a row, and measuring the device takes a millisecond or two.
      if (!isBerthHeard()) return;
      cancelRefresh ??= clock.after(REFRESH_MS, () => {
        cancelRefresh = undefined;
        fillAll('device');
      });
    },
    health: () =>
      [...troubles].map(([kind, reason]) => ({
        code: 'METADATA_UNWRITABLE',
        subject: `${kind}-meta`,
        message: `containers see old ${kind}-meta, ${folder} cannot be written: ${reason}`,
      })),
    close() {
      cancel();
      cancelRefresh?.();
    },
  };
}

/** Never replaced while it is one: a container has it mounted. Answers whether it is new, and so has nothing in it. */
function makeFolder(path: string): boolean {
  try {
    return mkdirSync(path, { recursive: true, mode: FOLDER_MODE }) !== undefined;
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    rmSync(path, { force: true });
    mkdirSync(path, { mode: FOLDER_MODE });
    return true;
  }
}

/** What an earlier state-svc left there; what is no file goes. */
function readFolder(path: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const name = join(path, entry.name);
    if (entry.isFile()) found.set(entry.name, readFileSync(name, 'utf8'));
    else rmSync(name, { recursive: true, force: true });
  }
  return found;
}
