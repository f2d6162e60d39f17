// The LXC configuration that a container is started with: its own lines, without what Berth owns, and Berth's. Pure.
import type { LxcEntry } from '../../shared/lxc-config/parse.ts';
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import { adaptCgroupKeys, type CgroupSupport } from './cgroup-keys.ts';

export interface ConfigSettings {
  readonly container: string;
  readonly hostname: string;
  readonly network: ContainerNetwork;
  readonly rootfs: string;
  /** Mounted read-only as /pantavisor. */
  readonly pantavisorFolder: string;
  readonly consoleLog: string;
  readonly lxcLog: string;
  /** First part of the names of its control groups. */
  readonly cgroup: string;
  readonly host: CgroupSupport;
  /** The folder of a volume that the configuration binds from /volumes/<container>/<volume>. */
  readonly volumeFolder: (volume: string) => string;
}

export interface ContainerConfig {
  readonly entries: readonly Pick<LxcEntry, 'key' | 'value'>[];
  /** Folders of volumes that must exist. */
  readonly volumeFolders: readonly string[];
  /** What was left out or changed, for the debug log. */
  readonly notes: readonly string[];
}

/** Berth's alone: what the container's configuration says about them is dropped. */
const OWNED_KEYS = new Set([
  'lxc.rootfs.path',
  'lxc.rootfs.mount',
  'lxc.uts.name',
  'lxc.console.logfile',
  'lxc.console.size',
  'lxc.console.rotate',
  'lxc.cgroup.relative',
  'lxc.namespace.share.net',
  'lxc.ephemeral',
  'lxc.execute.cmd',
]);
const OWNED_FAMILIES = ['lxc.log.', 'lxc.cgroup.dir', 'lxc.start.'];
/**
 * Bytes of the console's log before LXC rotates it, once: what a container writes waits for the log service in a tmpfs. A page at
 * least (lxc.container.conf(5)).
 */
const CONSOLE_LOG_BYTES = 256 * 1024;

/** What LXC's own templates ask for. */
const PTY_MAX = 1024;

export function containerConfig(own: readonly LxcEntry[], settings: ConfigSettings): ContainerConfig {
  const notes: string[] = [];
  const volumeFolders: string[] = [];
  const isOwned = ({ key }: LxcEntry): boolean =>
    OWNED_KEYS.has(key) ||
    OWNED_FAMILIES.some((family) => key.startsWith(family)) ||
    (key === 'lxc.net' || key.startsWith('lxc.net.') ? settings.network.kind !== 'legacy' : false);
  const left = own.filter((entry) => {
    if (isOwned(entry)) notes.push(`${placeOf(entry)} ${entry.key} = ${entry.value} dropped: Berth sets it`);
    return !isOwned(entry);
  });
  const adapted = adaptCgroupKeys(left, settings.host);
  notes.push(...adapted.notes);
  const entries = adapted.entries.flatMap((entry) => {
    if (entry.key !== 'lxc.mount.entry') return [entry];
    const { value, folder } = bindVolume(entry.value, settings);
    if (folder !== undefined) volumeFolders.push(folder);
    if (value !== entry.value) notes.push(`${placeOf(entry)} ${entry.value} mounts ${value.split(' ')[0]}`);
    return targetOf(value) === 'pantavisor' ? [] : [{ ...entry, value }];
  });
  const all = [...withNamespaces(entries, settings.network), ...withTerminals(entries), ...ownEntries(settings)];
  return { entries: all, volumeFolders, notes };
}

/** LXC gives init a console, and so its log, only where there is a devpts. */
function withTerminals(entries: readonly LxcEntry[]): Pick<LxcEntry, 'key' | 'value'>[] {
  const asked = Number(entries.findLast(({ key }) => key === 'lxc.pty.max')?.value ?? 0);
  return asked > 0 ? [] : [{ key: 'lxc.pty.max', value: String(PTY_MAX) }];
}

function placeOf({ source, line }: LxcEntry): string {
  return `${source}:${line}:`;
}

function targetOf(mountEntry: string): string {
  return (mountEntry.split(/\s+/)[1] ?? '').replace(/^\/+|\/+$/g, '');
}

/** Sources below /volumes/<container> are volumes of ours, wherever they are kept. */
function bindVolume(value: string, { container, volumeFolder }: ConfigSettings): { value: string; folder?: string } {
  const [source = '', ...rest] = value.split(/\s+/);
  const prefix = `/volumes/${container}/`;
  if (!source.startsWith(prefix)) return { value };
  const [volume = '', ...inside] = source.slice(prefix.length).split('/');
  // Two dots would lead out of the container's own volumes.
  if (volume === '' || [volume, ...inside].includes('..')) return { value };
  const folder = [volumeFolder(volume), ...inside].join('/').replace(/\/+$/, '');
  return { value: [escapeBlanks(folder), ...rest].join(' '), folder };
}

/** As in fstab(5). */
function escapeBlanks(path: string): string {
  return path.replace(/[\s\\]/g, (blank) => `\\${blank.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** `net` in or out of the list of kept, or of cloned, namespaces, as the kind of network asks. */
function withNamespaces(entries: readonly LxcEntry[], { kind }: ContainerNetwork): Pick<LxcEntry, 'key' | 'value'>[] {
  if (kind === 'legacy') return [...entries];
  const isHost = kind === 'host';
  const clones = entries.some(({ key, value }) => key === 'lxc.namespace.clone' && value !== '');
  const listKey = clones ? 'lxc.namespace.clone' : 'lxc.namespace.keep';
  const others = entries.filter(({ key }) => key !== listKey);
  const named = entries.filter(({ key }) => key === listKey).flatMap(({ value }) => value.split(/\s+/));
  const list = new Set(named.filter((name) => name !== '' && name !== 'net'));
  if (isHost !== clones) list.add('net');
  return list.size === 0 ? others : [...others, { key: listKey, value: [...list].join(' ') }];
}

function networkEntries(network: ContainerNetwork): Pick<LxcEntry, 'key' | 'value'>[] {
  switch (network.kind) {
    case 'netns':
      return [{ key: 'lxc.namespace.share.net', value: network.path }];
    case 'none':
      return [{ key: 'lxc.net.0.type', value: 'empty' }];
    case 'host':
    case 'legacy':
      return [];
  }
}

function ownEntries(settings: ConfigSettings): Pick<LxcEntry, 'key' | 'value'>[] {
  const pantavisor = `${escapeBlanks(settings.pantavisorFolder)} pantavisor none bind,ro,nosuid,nodev,noexec,create=dir 0 0`;
  return [
    { key: 'lxc.uts.name', value: settings.hostname },
    { key: 'lxc.rootfs.path', value: `dir:${settings.rootfs}` },
    ...networkEntries(settings.network),
    { key: 'lxc.mount.entry', value: pantavisor },
    { key: 'lxc.console.logfile', value: settings.consoleLog },
    { key: 'lxc.console.size', value: String(CONSOLE_LOG_BYTES) },
    { key: 'lxc.console.rotate', value: '1' },
    // DEBUG has the line from which the end of a container's init is learnt (see exit-log.ts).
    { key: 'lxc.log.level', value: 'DEBUG' },
    { key: 'lxc.log.file', value: settings.lxcLog },
    { key: 'lxc.cgroup.dir.container', value: `${settings.cgroup}/payload` },
    { key: 'lxc.cgroup.dir.monitor', value: `${settings.cgroup}/monitor` },
    { key: 'lxc.cgroup.dir.monitor.pivot', value: `${settings.cgroup}/pivot` },
  ];
}
