// Paths of the host that any container of a revision may write to. Read once for each revision that runs: a container that has not been
// started yet may have left links there when it ran before.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { readStateDocument } from '../../shared/revision/state-document.ts';
import { writtenSources } from './host-sources.ts';
import { readOwnConfig } from './own-config.ts';
import { type Places, trailPath } from './places.ts';
import { withStorageSources } from './storage-sources.ts';

/** Never throws: whose configuration cannot be read is not started. */
export type RevisionSources = (revision: string) => readonly string[];

export function createRevisionSources(places: Places): RevisionSources {
  let last: { readonly id: string; readonly sources: readonly string[] } | undefined;
  return (revision) => {
    const id = idOf(places, revision);
    if (last !== undefined && last.id === id) return last.sources;
    const { sources, isWhole } = readSources(places, revision);
    last = isWhole && id !== undefined ? { id, sources } : undefined;
    return sources;
  };
}

function statePath({ storage }: Places, revision: string): string {
  return join(storage, 'trails', revision, '.pvr/json');
}

/** Another one may get the name of a revision that is gone. Undefined: it has no state. */
function idOf(places: Places, revision: string): string | undefined {
  try {
    const { ino, ctimeMs } = statSync(statePath(places, revision));
    return `${revision} ${ino} ${ctimeMs}`;
  } catch {
    return undefined;
  }
}

interface ReadSources {
  readonly sources: readonly string[];
  /** Whether nothing was in the way that may be gone the next time. */
  readonly isWhole: boolean;
}

function readSources(places: Places, revision: string): ReadSources {
  const found = new Set<string>();
  let isWhole = true;
  const attempt = (read: () => void): void => {
    try {
      read();
    } catch (error) {
      // Who mounts nothing has no configuration.
      if (errorCode(error) !== 'ENOENT') isWhole = false;
    }
  };
  const readContainer = ({ container, config, holdsReadOnly }: ContainerConfig): void => {
    const { entries, problems } = readOwnConfig(trailPath(places, revision, container, config));
    if (problems.length > 0) isWhole = false;
    for (const source of writtenSources(withStorageSources(entries, places), holdsReadOnly)) found.add(source);
  };
  attempt(() => {
    for (const each of configsOf(places, revision)) attempt(() => readContainer(each));
  });
  return { sources: [...found], isWhole };
}

interface ContainerConfig {
  readonly container: string;
  readonly config: string;
  /** Whether no remount, of whatever policy, lets it write what its lines do not. */
  readonly holdsReadOnly: boolean;
}

function configsOf(places: Places, revision: string): readonly ContainerConfig[] {
  const { containers, documents } = readStateDocument(JSON.parse(readFileSync(statePath(places, revision), 'utf8')));
  return containers.map((container) => {
    const run = documents.get(`${container}/run.json`);
    const config = memberOf(run, 'config');
    const remounts = JSON.stringify([memberOf(documents.get('device.json'), 'remount'), memberOf(run, 'remount')]);
    return {
      container,
      config: typeof config === 'string' ? config : 'lxc.container.conf',
      holdsReadOnly: !remounts.includes('rw'),
    };
  });
}

function memberOf(document: unknown, name: string): unknown {
  return typeof document === 'object' && document !== null ? Reflect.get(document, name) : undefined;
}
