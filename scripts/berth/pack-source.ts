// Reads the folders that people write: device.json, bsp/drivers.json and containers/<name>/{args.json, rootfs/, rootfs.list or
// root.squashfs, config/, volumes/, mdev.json, src.json}.
import { accessSync, constants, type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Problem } from '../../shared/revision/revision.ts';
import { containerName } from '../../shared/schema/names.ts';
import { artifactName } from '../../shared/schema/storage.ts';
import { DEFAULT_DEVICE } from './default-device.ts';
import { mistypedDevice, mistypedFiles } from './mistyped.ts';
import { type ContainerArguments, ROOT_FILE, readArguments } from './pack-arguments.ts';
import { lostOwners } from './pack-owners.ts';
import { parseRootfsList, type RootfsEntry } from './pack-rootfs-list.ts';
import { placedVolumes, volumeFile } from './pack-volumes.ts';

/** A file of the list whose source was found. */
export type FoundEntry =
  | Exclude<RootfsEntry, { kind: 'file' }>
  | (RootfsEntry & { kind: 'file'; readonly source: string });

export type RootfsSource =
  | { readonly kind: 'folder'; readonly folder: string }
  /** Made by somebody else; taken as it is. */
  | { readonly kind: 'image'; readonly image: string }
  | { readonly kind: 'list'; readonly entries: readonly FoundEntry[] };

export type VolumeSource = Exclude<RootfsSource, { kind: 'list' }>;

export interface ContainerSource {
  readonly name: string;
  readonly args: ContainerArguments;
  readonly rootfs: RootfsSource;
  /** Path inside the root filesystem, relative → file on this machine. */
  readonly overlay: ReadonlyMap<string, string>;
  /** Squashfs beside its root, by the name that each has in the revision; in alphabetical order. */
  readonly volumes: ReadonlyMap<string, VolumeSource>;
  /** mdev.json, carried along. */
  readonly devices: unknown;
  /** src.json, carried along. */
  readonly origin: unknown;
}

export interface Source {
  /** The parsed device.json. Undefined when no folder has one, and no container names a pool: then it is a new device's. */
  readonly device: unknown;
  /** The parsed bsp/drivers.json; undefined when no folder has one. */
  readonly drivers: unknown;
  /** In alphabetical order. */
  readonly containers: readonly ContainerSource[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

const SOURCE_FILES = ['device.json', 'containers', 'bsp'];
const CONTAINER_FILES = ['args.json', 'config', 'volumes', 'mdev.json', 'src.json'];
/** A container has one of them. */
const ROOTS = ['rootfs', 'rootfs.list', ROOT_FILE];

export function isSourceFolder(folder: string): boolean {
  return exists(join(folder, 'device.json')) || exists(join(folder, 'containers'));
}

/** Everything of all folders together, and everything that is wrong with it. Reads only; throws never. */
export function readSources(folders: readonly string[]): Source {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const devices: unknown[] = [];
  const drivers: unknown[] = [];
  const containers = new Map<string, ContainerSource>();
  for (const folder of folders) {
    if (!isSourceFolder(folder)) {
      problems.push(problem(folder, 'NOT_A_SOURCE', 'has neither device.json nor containers/'));
      continue;
    }
    const devicePath = join(folder, 'device.json');
    const device = readJson(devicePath, 'device.json', problems);
    if (device !== undefined && devices.push(device) > 1) {
      problems.push(problem(devicePath, 'DUPLICATE_DEVICE', 'is a second device.json; a revision has one'));
    }
    const driversPath = join(folder, 'bsp/drivers.json');
    const driversHere = readJson(driversPath, 'bsp/drivers.json', problems);
    if (driversHere !== undefined && drivers.push(driversHere) > 1) {
      problems.push(problem(driversPath, 'DUPLICATE_DRIVERS', 'is a second bsp/drivers.json; a revision has one'));
    }
    warnings.push(...mistypedDevice(device), ...mistypedFiles(namesIn(folder), SOURCE_FILES, folder));
    for (const name of subfolders(join(folder, 'containers'), problems)) {
      const at = join(folder, 'containers', name);
      if (!containerName.safeParse(name).success) {
        const message = 'is no container name: 1–63 of A-Z a-z 0-9 . _ -, starting with a letter or digit';
        problems.push(problem(at, 'BAD_NAME', message));
      } else if (containers.has(name)) {
        problems.push(problem(at, 'DUPLICATE_CONTAINER', `is a second container '${name}'`));
      } else {
        containers.set(name, readContainer(name, at, { problems, warnings }));
      }
    }
  }
  const inOrder = [...containers.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  // Pools are a device.json's; without any use of one, a revision without it has its meaning as well, and no bridge.
  const hasDevice = folders.some((folder) => exists(join(folder, 'device.json')));
  const isDefault = !hasDevice && inOrder.some(({ args }) => args.PV_NETWORK_POOL !== undefined);
  if (isDefault) warnings.push(defaultNote());
  const device = isDefault ? DEFAULT_DEVICE : devices[0];
  return { device, drivers: drivers[0], containers: inOrder, problems, warnings };
}

function defaultNote(): Problem {
  const pools = Object.entries(DEFAULT_DEVICE.network.pools).map(([name, { bridge }]) => `${name} on ${bridge}`);
  const message = `no folder has one; the revision gets that of a new device, with the pool ${pools.join(', ')}`;
  return problem('device.json', 'DEVICE_DEFAULT', message);
}

interface Found {
  readonly problems: Problem[];
  readonly warnings: Problem[];
}

function readContainer(name: string, folder: string, { problems, warnings }: Found): ContainerSource {
  const written = readJson(join(folder, 'args.json'), `containers/${name}/args.json`, problems);
  const { args, ...found } = readArguments(written ?? {}, `containers/${name}/args.json`);
  problems.push(...found.problems);
  warnings.push(...found.warnings);
  const volumes = readVolumes(join(folder, 'volumes'), problems);
  problems.push(...missingVolumes(name, args, volumes));
  const rootfs = readRootfs(name, folder, problems);
  warnings.push(...mistypedInContainer(name, folder, rootfs));
  for (const source of [rootfs, ...volumes.values()]) {
    if (source.kind !== 'folder') continue;
    const lost = lostOwners(source.folder, `containers/${name}/${relative(folder, source.folder)}`);
    problems.push(...lost.problems);
    warnings.push(...lost.warnings);
  }
  return {
    name,
    args,
    rootfs,
    overlay: readOverlay(join(folder, 'config'), problems),
    volumes,
    devices: readJson(join(folder, 'mdev.json'), `containers/${name}/mdev.json`, problems),
    origin: readJson(join(folder, 'src.json'), `containers/${name}/src.json`, problems),
  };
}

/** What a rootfs.list takes may have any name. */
function mistypedInContainer(name: string, folder: string, rootfs: RootfsSource): readonly Problem[] {
  const listed =
    rootfs.kind === 'list' ? rootfs.entries.flatMap((entry) => ('source' in entry ? entry.source : [])) : [];
  const taken = new Set(listed.map((source) => relative(folder, source).split('/', 1)[0]));
  const names = namesIn(folder).filter((each) => !taken.has(each) && !ROOTS.includes(each));
  const isRootless = !ROOTS.some((each) => exists(join(folder, each)));
  return mistypedFiles(names, [...CONTAINER_FILES, ...(isRootless ? ROOTS : [])], `containers/${name}`);
}

function readRootfs(name: string, folder: string, problems: Problem[]): RootfsSource {
  const rootfs = join(folder, 'rootfs');
  const list = join(folder, 'rootfs.list');
  const image = join(folder, 'root.squashfs');
  const path = `containers/${name}/rootfs`;
  const there = [rootfs, list, image].filter(exists);
  if (there.length > 1) {
    const names = there.map((each) => basename(each)).join(' and ');
    problems.push(problem(path, 'TWO_ROOTFS', `is there more than once, as ${names}; keep one of them`));
  } else if (there.length === 0) {
    problems.push(
      problem(path, 'NO_ROOTFS', 'is missing; make a folder rootfs/, a rootfs.list, or put a root.squashfs there'),
    );
  }
  if (there[0] === image) return { kind: 'image', image };
  if (!there.includes(list)) return { kind: 'folder', folder: rootfs };
  const text = readText(list, `${path}.list`, problems);
  const parsed = parseRootfsList(text ?? '', `${path}.list`);
  problems.push(...parsed.problems);
  return {
    kind: 'list',
    entries: parsed.entries.flatMap((entry) => findSource(entry, folder, `${path}.list`, problems)),
  };
}

function findSource(entry: RootfsEntry, folder: string, list: string, problems: Problem[]): FoundEntry[] {
  if (entry.kind !== 'file') return [entry];
  const candidates = entry.sources.map((source) => resolve(folder, source));
  const source = candidates.find(isReadableFile);
  if (source !== undefined) return [{ ...entry, source }];
  const message = `no readable file for ${entry.path}: ${candidates.join(' and ')} ${candidates.length > 1 ? 'are' : 'is'} missing or closed`;
  problems.push(problem(`${list}:${entry.line}`, 'SOURCE_MISSING', message));
  return [];
}

/** Regular files only: a link or a device in an overlay has no sha256. */
function readOverlay(folder: string, problems: Problem[]): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const walk = (inside: string): void => {
    for (const entry of entriesOf(join(folder, inside), problems)) {
      const path = inside === '' ? entry.name : `${inside}/${entry.name}`;
      const at = join(folder, path);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && isReadableFile(at)) files.set(path, at);
      else problems.push(problem(at, 'NOT_A_FILE', 'is no readable regular file; an overlay holds only such'));
    }
  };
  if (exists(folder)) walk('');
  return files;
}

/** A folder `x` and a ready `x.squashfs` are both x.squashfs in the revision. */
function readVolumes(folder: string, problems: Problem[]): ReadonlyMap<string, VolumeSource> {
  const volumes = new Map<string, VolumeSource>();
  if (!exists(folder)) return volumes;
  for (const entry of [...entriesOf(folder, problems)].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const at = join(folder, entry.name);
    const file = volumeFile(entry.name);
    const isImage = entry.isFile() && entry.name.endsWith('.squashfs') && isReadableFile(at);
    if (!isImage && !entry.isDirectory()) {
      problems.push(
        problem(at, 'NOT_A_VOLUME', 'is neither a folder nor a readable .squashfs file; volumes/ holds only such'),
      );
    } else if (!artifactName.safeParse(file).success || file === ROOT_FILE) {
      problems.push(problem(at, 'BAD_NAME', `is no name for a volume: A-Z a-z 0-9 . _ -, and not ${ROOT_FILE}`));
    } else if (volumes.has(file)) {
      problems.push(problem(at, 'VOLUME_TWICE', `is there as a folder and as ${file}; keep one of them`));
    } else {
      volumes.set(file, entry.isDirectory() ? { kind: 'folder', folder: at } : { kind: 'image', image: at });
    }
  }
  return volumes;
}

function missingVolumes(
  name: string,
  args: ContainerArguments,
  volumes: ReadonlyMap<string, VolumeSource>,
): readonly Problem[] {
  return placedVolumes(args).flatMap(({ at, file }) => {
    if (typeof file !== 'string' || volumes.has(volumeFile(file))) return [];
    const there = [...volumes.keys()].join(', ') || 'none';
    const message = `names '${file}', but containers/${name}/volumes/ has neither a folder nor a squashfs of that name; there are: ${there}`;
    return [problem(`containers/${name}/args.json.${at}`, 'VOLUME_MISSING', message)];
  });
}

/** `undefined`: there is none, or it is reported. */
function readJson(file: string, path: string, problems: Problem[]): unknown {
  if (!exists(file)) return undefined;
  const text = readText(file, path, problems);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    problems.push(problem(path, 'NOT_JSON', `is no JSON: ${reasonOf(error)}`));
    return undefined;
  }
}

function readText(file: string, path: string, problems: Problem[]): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    problems.push(problem(path, 'UNREADABLE', `cannot be read: ${reasonOf(error)}`));
    return undefined;
  }
}

/** Also those behind a link. What lies beside them would be missing from the revision without a word; hidden files are the editor's or git's. */
function subfolders(folder: string, problems: Problem[]): readonly string[] {
  if (!exists(folder)) return [];
  return entriesOf(folder, problems).flatMap(({ name }) => {
    const at = join(folder, name);
    const found = statSync(at, { throwIfNoEntry: false });
    if (found?.isDirectory() === true) return [name];
    if (found === undefined) problems.push(problem(at, 'NOT_A_FOLDER', 'is a link to nothing'));
    else if (!name.startsWith('.')) {
      problems.push(
        problem(at, 'NOT_A_FOLDER', 'is no folder; containers/ holds one for each container, and nothing else'),
      );
    }
    return [];
  });
}

function entriesOf(folder: string, problems: Problem[]): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    problems.push(problem(folder, 'UNREADABLE', `cannot be read: ${reasonOf(error)}`));
    return [];
  }
}

/** Hidden files are the editor's or git's. What cannot be read is said elsewhere. */
function namesIn(folder: string): readonly string[] {
  return entriesOf(folder, []).flatMap(({ name }) => (name.startsWith('.') ? [] : name));
}

function isReadableFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function problem(path: string, code: string, message: string): Problem {
  return { path, code, message };
}
