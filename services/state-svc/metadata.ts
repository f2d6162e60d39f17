// All metadata of the device: what users and containers stored, and under device-meta what Berth itself says.
import { join } from 'node:path';
import type { Refusal } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { METADATA_KINDS, type MetadataKind } from '../../shared/schema/metadata.ts';
import type { stateContract } from './contract.ts';
import { OWN_FOLDERS } from './metadata-folders.ts';
import type { ReadonlyEntries } from './metadata-limits.ts';
import { type MetadataStore, openMetadataStore } from './metadata-store.ts';

export interface Metadata {
  /** A value of user-meta; undefined when there is none. */
  user(key: string): string | undefined;
  entries(kind: MetadataKind): ReadonlyEntries;
  /** Of Berth's own keys those that `entries` had to leave out. */
  untold(kind: MetadataKind, entries: ReadonlyEntries): readonly string[];
  /** Undefined: done, and on disk. */
  set(
    kind: MetadataKind,
    key: string,
    value: string,
  ): Promise<Refusal<typeof stateContract, 'setMetadata'> | undefined>;
  delete(kind: MetadataKind, key: string): Promise<Refusal<typeof stateContract, 'deleteMetadata'> | undefined>;
  /** Told after every change of a stored key. */
  onChange(listener: (kind: MetadataKind, key: string) => void): void;
  health(): readonly HealthReason[];
}

/** What Berth says about the device: asked each time, because most of it changes by itself. */
export interface OwnMetadata {
  /** Nobody else's to set. */
  readonly keys: ReadonlySet<string>;
  /** Without what cannot be told right now; what was told of that before still holds. */
  entries(): ReadonlyEntries;
}

/** `cache`: <storage>/cache. */
export function openMetadata(cache: string, own: OwnMetadata, log: Logger, folders = OWN_FOLDERS): Metadata {
  const listeners: ((kind: MetadataKind, key: string) => void)[] = [];
  const open = (kind: MetadataKind): MetadataStore =>
    openMetadataStore(join(cache, folders[kind]), log, (key) => {
      log.debug(`${kind}-meta ${key} changed`);
      for (const listener of listeners) listener(kind, key);
    });
  const [user, device] = [open('user'), open('device')];
  const stores: Readonly<Record<MetadataKind, MetadataStore>> = { user, device };
  const isOwn = (kind: MetadataKind, key: string): boolean => kind === 'device' && own.keys.has(key);
  // The stock runtime stores what it says itself beside what others set.
  const storedByOthers = () => [...device.entries].filter(([key]) => !own.keys.has(key));
  const keptByBerth = { code: 'KEPT_BY_BERTH' } as const;
  return {
    user: (key) => user.entries.get(key),
    entries: (kind) => (kind === 'user' ? user.entries : new Map([...storedByOthers(), ...own.entries()])),
    untold: (kind, entries) => (kind === 'device' ? [...own.keys].filter((key) => !entries.has(key)) : []),
    set: async (kind, key, value) => (isOwn(kind, key) ? keptByBerth : await stores[kind].set(key, value)),
    delete: async (kind, key) => (isOwn(kind, key) ? keptByBerth : await stores[kind].delete(key)),
    onChange: (listener) => void listeners.push(listener),
    health: () =>
      METADATA_KINDS.flatMap((kind) => {
        const { unread } = stores[kind];
        const subject = `cache/${folders[kind]}`;
        const message =
          `nothing of ${kind}-meta in ${join(cache, folders[kind])} could be read (${unread}), and what it sets does not hold: ` +
          'check the file system of the storage, and restart Berth';
        return unread === undefined ? [] : [{ code: 'METADATA_UNREADABLE', subject, message: message.slice(0, 500) }];
      }),
  };
}
