// The state JSON as a flat object: which keys are legal, which are objects, which are documents, and of which container.
import { containerName, sha256 } from '../schema/names.ts';
import type { Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

export interface StateDocument {
  /** Inline documents by path. */
  readonly documents: ReadonlyMap<string, unknown>;
  /** sha256 by path. */
  readonly objects: ReadonlyMap<string, string>;
  /** Names of the folders with a run.json, in alphabetical order. */
  readonly containers: readonly string[];
  readonly problems: readonly Problem[];
}

const STATE_SPEC = 'pantavisor-service-system@1';
/** Folders that hold a run.json or other documents without being containers. */
const NO_CONTAINERS: readonly string[] = ['bsp', '_config', '_sigs'];

/** In a checkout, what is not of the state: .pvr/json is the state itself. */
const CHECKOUT_FOLDERS: readonly string[] = ['.pvr', '.pv'];
/** NAME_MAX of linux/limits.h. */
const MAX_NAME_BYTES = 255;
/** Half of PATH_MAX (linux/limits.h): the other half is for <storage>/trails/<rev>/ in front of it. */
const MAX_PATH_BYTES = 2048;

/** Never throws; every key that breaks a rule is a problem. Codes: BAD_STATE, BAD_SPEC, BAD_PATH, BAD_VALUE, PATH_CONFLICT, BAD_NAME. */
export function readStateDocument(state: unknown): StateDocument {
  const documents = new Map<string, unknown>();
  const objects = new Map<string, string>();
  const problems: Problem[] = [];
  if (typeof state !== 'object' || state === null || Array.isArray(state)) {
    problems.push({ path: 'state', code: 'BAD_STATE', message: `is ${shown(state)}; must be a JSON object` });
    return { documents, objects, containers: [], problems };
  }
  const spec: unknown = Reflect.get(state, '#spec');
  if (spec !== STATE_SPEC) {
    problems.push({
      path: '#spec',
      code: 'BAD_SPEC',
      message: `is ${spec === undefined ? 'missing' : shown(spec)}; must be "${STATE_SPEC}"`,
    });
  }
  for (const [path, value] of Object.entries(state)) {
    if (path === '#spec') continue;
    const wrong = pathProblem(path);
    if (wrong !== undefined) problems.push({ path, code: 'BAD_PATH', message: wrong });
    else if (typeof value === 'object' && value !== null) documents.set(path, value);
    else if (typeof value === 'string' && sha256.safeParse(value).success) objects.set(path, value);
    else problems.push({ path, code: 'BAD_VALUE', message: `is ${shown(value)}; must be a document or a sha256` });
  }
  for (const conflict of conflicts([...documents.keys(), ...objects.keys()])) problems.push(conflict);
  const containers = containersOf([...documents.keys(), ...objects.keys()]);
  for (const name of containers) {
    if (containerName.safeParse(name).success) continue;
    const message = `container '${name}': a name has 1–63 of A-Z a-z 0-9 . _ -, and starts with a letter or digit`;
    problems.push({ path: `${name}/run.json`, code: 'BAD_NAME', message });
  }
  return { documents, objects, containers, problems };
}

/** What is wrong with a path inside a revision; undefined when it is relative and normalised. */
function pathProblem(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) return `${shown(path)} has ${bytes} bytes; a path has at most ${MAX_PATH_BYTES}`;
  const parts = path.split('/');
  if (path.includes('\0')) return `'${path.replaceAll('\0', '\\0')}' contains a NUL character`;
  if (parts[0] === '') return `'${path}' is absolute or empty; paths are relative to the revision`;
  if (parts.includes('..')) return `'${path}' leaves the revision; no part may be '..'`;
  if (parts.includes('') || parts.includes('.')) return `'${path}' is not normalised; no part may be empty or '.'`;
  if (CHECKOUT_FOLDERS.includes(parts[0] ?? '')) return `'${path}' is in ${parts[0]}/, which is the checkout's own`;
  if (parts.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES)) {
    return `${shown(path)} has a part of more than ${MAX_NAME_BYTES} bytes`;
  }
  return undefined;
}

/** What is a file cannot be a folder too. */
function conflicts(paths: readonly string[]): readonly Problem[] {
  // Sorted with the least of all characters for the slash, which no path has: what is in a folder follows it at once.
  const sorted = paths.map((path) => path.replaceAll('/', '\0')).sort();
  const problems: Problem[] = [];
  let file = '';
  for (const each of sorted) {
    if (file === '' || !each.startsWith(`${file}\0`)) {
      file = each;
      continue;
    }
    const [path, outer] = [each, file].map((written) => written.replaceAll('\0', '/'));
    const message = `'${outer}' is a file of this revision; nothing can be in it`;
    problems.push({ path: path ?? '', code: 'PATH_CONFLICT', message });
  }
  return problems;
}

function containersOf(paths: readonly string[]): readonly string[] {
  return paths
    .flatMap((path) => {
      const [folder = '', file, ...rest] = path.split('/');
      return file === 'run.json' && rest.length === 0 && !NO_CONTAINERS.includes(folder) ? [folder] : [];
    })
    .sort();
}
