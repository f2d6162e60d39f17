// The state JSON of what was read from source folders, with the objects that exist as text or file already. Pure but for hashing files.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { ParsedRevision } from '../../shared/revision/revision.ts';
import { parseState } from '../../shared/revision/validate.ts';
import { CONFIG_FILE, ROOT_FILE, runManifest } from './pack-arguments.ts';
import { initWarnings } from './pack-init.ts';
import { lxcConfig } from './pack-lxc-config.ts';
import type { Source } from './pack-source.ts';

export type ObjectContent = { readonly text: string } | { readonly file: string };

export interface PackedRevision {
  /** The state, its keys in order. */
  readonly state: Readonly<Record<string, unknown>>;
  /** sha256 → content. */
  readonly objects: ReadonlyMap<string, ObjectContent>;
}

const STATE_SPEC = 'pantavisor-service-system@1';
/** Stands for a squashfs that is not made yet: the rules ask whether there is one, not what is in it. */
const NOT_MADE = '0'.repeat(64);

/** `images`: path in the revision → squashfs that was made for it. */
export async function packedRevision(source: Source, images: ReadonlyMap<string, string>): Promise<PackedRevision> {
  const objects = new Map<string, ObjectContent>();
  const state: Record<string, unknown> = stateDocument(source, (text) => {
    const digest = sha256(text);
    objects.set(digest, { text });
    return digest;
  });
  for (const { name, overlay } of source.containers) {
    const files = new Map([...overlay].map(([path, file]): [string, string] => [`_config/${name}/${path}`, file]));
    for (const path of squashfsOf(source, name)) {
      const image = images.get(path);
      if (image !== undefined) files.set(path, image);
    }
    for (const [path, file] of files) {
      const digest = await sha256OfFile(file);
      objects.set(digest, { file });
      state[path] = digest;
    }
  }
  return { state: inOrder(state), objects };
}

/** Everything that the device would check, before anything is made. */
export function validateSource(source: Source): ParsedRevision {
  const texts = new Map<string, string>();
  const state = stateDocument(source, (text) => {
    const digest = sha256(text);
    texts.set(digest, text);
    return digest;
  });
  for (const { name, overlay } of source.containers) {
    for (const path of overlay.keys()) state[`_config/${name}/${path}`] = NOT_MADE;
  }
  const parsed = parseState(inOrder(state), (_path, digest) => texts.get(digest));
  if (source.problems.length === 0) {
    if (!parsed.ok) return parsed;
    return { ...parsed, warnings: [...parsed.warnings, ...initWarnings(source.containers, parsed.revision)] };
  }
  const isDeviceRead = source.problems.every(({ path }) => path !== 'device.json');
  const found = parsed.ok ? [] : parsed.problems.filter(({ code }) => isDeviceRead || !OF_THE_DEVICE.includes(code));
  return { ok: false, problems: [...source.problems, ...found] };
}

/** What is said of containers where it is the device.json that could not be read. */
const OF_THE_DEVICE = ['UNKNOWN_POOL', 'UNKNOWN_GROUP', 'UNKNOWN_DISK'];

/** Paths in the revision of what has to be made for a container. */
export function squashfsOf({ containers }: Source, container: string): readonly string[] {
  const volumes = containers.find(({ name }) => name === container)?.volumes ?? new Map();
  return [ROOT_FILE, ...volumes.keys()].map((file) => `${container}/${file}`);
}

function stateDocument(source: Source, addText: (text: string) => string): Record<string, unknown> {
  const state: Record<string, unknown> = { '#spec': STATE_SPEC };
  if (source.device !== undefined) state['device.json'] = source.device;
  if (source.drivers !== undefined) state['bsp/drivers.json'] = source.drivers;
  for (const { name, args, devices, origin, volumes } of source.containers) {
    state[`${name}/run.json`] = runManifest(name, args, [...volumes.keys()]);
    state[`${name}/${CONFIG_FILE}`] = addText(lxcConfig(name, args));
    for (const path of squashfsOf(source, name)) state[path] = NOT_MADE;
    if (devices !== undefined) state[`${name}/mdev.json`] = devices;
    if (origin !== undefined) state[`${name}/src.json`] = origin;
  }
  return state;
}

function inOrder(state: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  // Larger reads than the default: 200 MB in 208 ms instead of 365.
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
