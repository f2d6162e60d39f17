// What the parts of a container's configuration are given, and what each of them makes of it. Pure.
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import type { CgroupSupport } from './cgroup-tree.ts';
import type { StartSource } from './mount-sources.ts';
import type { PantavisorSources } from './pantavisor-sources.ts';
import type { StorageRoots } from './places.ts';

export interface ConfigSettings {
  readonly container: string;
  readonly hostname: string;
  readonly network: ContainerNetwork;
  /** The file that leads to the host's network from where LXC's monitors are. */
  readonly hostNetwork: string;
  /** Of the init of a container that runs; undefined: none of this name does. */
  readonly pidOf: (container: string) => number | undefined;
  readonly rootfs: string;
  readonly pantavisor: PantavisorSources;
  /** Whether /dev/log leads to log-svc. */
  readonly devLog: boolean;
  /** What is to be its /dev; undefined: LXC makes it. */
  readonly devices?: string | undefined;
  readonly consoleLog: string;
  readonly lxcLog: string;
  /** Whether that has all that LXC can say. */
  readonly tracesLxc: boolean;
  /** First part of the names of its control groups. */
  readonly cgroup: string;
  readonly host: CgroupSupport;
  /** What it counts for when memory is short. */
  readonly oomScore: number;
  /** Names of its volumes, which are mounted. */
  readonly volumes: ReadonlySet<string>;
  /** What the configuration calls /volumes and /exports. */
  readonly storageRoots: StorageRoots;
  /** Where what it mounts from inside them is bound while it is started. */
  readonly sourcesFolder: string;
}

/** A line of the container's own, or of Berth's, which stands in no file. */
export type ConfigLine = Pick<LxcEntry, 'key' | 'value'> & Partial<Pick<LxcEntry, 'source' | 'line'>>;

export interface ConfigDraft {
  readonly entries: readonly ConfigLine[];
  /** What must be bound while it is started. */
  readonly sources: readonly StartSource[];
  /** What was left out or changed, for the debug log. */
  readonly notes: readonly string[];
}

/** Takes lines away, changes them, adds its own; says so in a note where a line was the container's. */
export type ConfigPart = (draft: ConfigDraft, settings: ConfigSettings) => ConfigDraft;

/** A part that only adds lines. */
export function adding(lines: (settings: ConfigSettings, draft: ConfigDraft) => readonly ConfigLine[]): ConfigPart {
  return (draft, settings) => ({ ...draft, entries: [...draft.entries, ...lines(settings, draft)] });
}

/** Where a line stands, for notes. */
export function placeOf({ source, line }: ConfigLine): string {
  return source === undefined ? 'berth:' : `${source}:${line}:`;
}
