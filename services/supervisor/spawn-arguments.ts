// How a service is started, as data: the setpriv(1) and node arguments that follow from its contract.
import { V8_FLAGS } from '../../shared/boot/v8-flags.ts';
import type { Contract, FileAccess, Privileges } from '../../shared/ipc/contract.ts';

export interface Places {
  readonly rundir: string;
  readonly storage: string;
  /** The folder with the services' bundles. */
  readonly program: string;
  /** Whom the device trusts to sign revisions: the folder, and the store of certificates when it lies elsewhere. */
  readonly trust?: { readonly folder: string; readonly store: string };
}

const TRUST = '/etc/pantavisor/pvs/trust';

/** Replaces <rundir>, <storage>, <trust> and <truststore>. */
export function expandPath(path: string, places: Places): string {
  const { rundir, storage, trust = { folder: TRUST, store: TRUST } } = places;
  const known: Readonly<Record<string, string>> = { rundir, storage, trust: trust.folder, truststore: trust.store };
  return path.replace(/^<(\w+)>/, (written, name: string) => known[name] ?? written);
}

function capabilityList(capabilities: readonly string[]): string {
  return ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
}

/** For setpriv of util-linux 2.38. Root has its capabilities by uid, within the bounding set; others by the ambient set. */
export function setprivArguments({ user, capabilities, noNewPrivileges }: Privileges, uid: number): readonly string[] {
  const list = capabilityList(capabilities);
  const identity =
    user === 'root'
      ? [`--inh-caps=-all`, `--ambient-caps=-all`]
      : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', `--inh-caps=${list}`, `--ambient-caps=${list}`];
  return [
    ...identity,
    `--bounding-set=${list}`,
    ...(noNewPrivileges ? ['--no-new-privs'] : []),
    // The supervisor's death must not leave services of two generations side by side.
    '--pdeathsig=KILL',
    '--',
  ];
}

/** `permissionFlag`: what this Node calls its permission model. */
export function nodeArguments(
  { files, privileges }: Pick<Contract, 'files' | 'privileges'>,
  places: Places,
  permissionFlag: string,
): readonly string[] {
  if (privileges.permissionModel === undefined) return V8_FLAGS;
  const { workers, addons, anyPath } = privileges.permissionModel;
  return [
    ...V8_FLAGS,
    permissionFlag,
    // The model is announced as experimental on stderr, where only last words belong.
    '--no-warnings',
    ...(workers ? ['--allow-worker'] : []),
    ...(addons === true ? ['--allow-addons'] : []),
    ...(anyPath === true ? NO_PATH_FENCES : pathFences(files, places)),
  ];
}

const NO_PATH_FENCES = ['--allow-fs-read=*', '--allow-fs-write=*'];

function pathFences({ owns, reads, writes }: FileAccess, places: Places): readonly string[] {
  const expand = (path: string): string => expandPath(path, places);
  const readable = [places.program, ...[...owns, ...reads, ...writes].map(expand)];
  const writable = [...owns, ...writes].map(expand);
  return [...readable.map((path) => `--allow-fs-read=${path}`), ...writable.map((path) => `--allow-fs-write=${path}`)];
}
