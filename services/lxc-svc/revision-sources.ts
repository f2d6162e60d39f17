// Paths of the host that any container of a revision may write to. Read once for each revision that runs: a container that has not been
// started yet may have left links there when it ran before.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readStateDocument } from '../../shared/revision/state-document.ts';
import { writtenSources } from './host-sources.ts';
import { readOwnConfig } from './own-config.ts';
import { type Places, trailPath } from './places.ts';

/** Never throws: whose configuration cannot be read is not started. */
export type RevisionSources = (revision: string) => readonly string[];

export function createRevisionSources(places: Places): RevisionSources {
  let last: { readonly revision: string; readonly sources: readonly string[] } | undefined;
  return (revision) => {
    if (last?.revision !== revision) last = { revision, sources: sourcesOf(places, revision) };
    return last.sources;
  };
}

function sourcesOf(places: Places, revision: string): readonly string[] {
  const found = new Set<string>();
  for (const [container, config] of configsOf(places, revision)) {
    try {
      const { entries } = readOwnConfig(trailPath(places, revision, container, config));
      for (const source of writtenSources(entries)) found.add(source);
    } catch {
      // Has none, or it is missing.
    }
  }
  return [...found];
}

function configsOf({ storage }: Places, revision: string): readonly (readonly [container: string, config: string])[] {
  try {
    const { containers, documents } = readStateDocument(
      JSON.parse(readFileSync(join(storage, 'trails', revision, '.pvr/json'), 'utf8')),
    );
    return containers.map((container) => {
      const run = documents.get(`${container}/run.json`);
      const config: unknown = typeof run === 'object' && run !== null ? Reflect.get(run, 'config') : undefined;
      return [container, typeof config === 'string' ? config : 'lxc.container.conf'];
    });
  } catch {
    return [];
  }
}
