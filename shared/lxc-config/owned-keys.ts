// Keys of the LXC configuration that are Berth's, and what a container's own file may say about them all the same; with it, values that LXC
// would refuse. Pure.
import type { LxcEntry, LxcProblem } from './entry.ts';
import { isPantavisorKey, NAMESPACES } from './keys.ts';
import { escapeBlanks, fieldsOf } from './mount-entries.ts';
import { unsignedNumber } from './numbers.ts';
import { readOverlay } from './overlay-entries.ts';
import { basesOf, type RootLayer, readRootPath } from './root-path.ts';
import { wrongValue } from './values.ts';

export interface ConfigOwner {
  readonly container: string;
  /** Files that may be layers of its root; undefined: not known here. */
  readonly volumes: readonly string[] | undefined;
  readonly rootVolume: string | undefined;
  /** The same of other containers, by name: what extensions of them lie over. A list is undefined where their run.json cannot be read. */
  readonly bases: ReadonlyMap<string, readonly string[] | undefined> | undefined;
  /** Undefined: not known yet, and no rule about networks or names is applied. */
  readonly network: NetworkKind | undefined;
  readonly hostname: string | undefined;
}
export type NetworkKind = 'pool' | 'host' | 'none' | 'legacy';

export interface OwnedConflict extends LxcProblem {
  readonly code: 'OWNED_KEY' | 'BAD_ROOT_PATH' | 'BAD_NAMESPACE' | 'BAD_VALUE';
}

interface Rule {
  readonly keys: RegExp;
  /** Networks for which the key is Berth's; undefined: all. */
  readonly networks?: readonly NetworkKind[];
  /** Lines that ask for nothing else than what Berth does, or that say nothing to `lxc-start`. */
  readonly agrees: (entry: LxcEntry, owner: ConfigOwner) => boolean;
  /** What to do instead. */
  readonly way: string;
}

const never = (): boolean => false;
const always = (): boolean => true;
const off = ({ value }: LxcEntry): boolean => unsignedNumber(value) === 0;

/** Every line with such a key is left out of what LXC is given; it is an error unless it agrees with what Berth does. */
const RULES: readonly Rule[] = [
  // readRootPath() says what is wrong with it.
  { keys: /^lxc\.rootfs\.path$/, agrees: always, way: '' },
  { keys: /^lxc\.rootfs\.mount$/, agrees: never, way: 'Berth mounts the root filesystem' },
  {
    keys: /^lxc\.uts\.name$/,
    networks: ['pool', 'host', 'none'],
    agrees: ({ value }, { container, hostname }) => value === hostname || value === container,
    way: 'write the name as network.hostname in run.json',
  },
  // Packagers write lxc.log.file for debugging, and lxc.console.path = none in every container.
  { keys: /^lxc\.log\..+$/, agrees: always, way: '' },
  {
    keys: /^lxc\.console\.(?:logfile|size|rotate)$/,
    agrees: never,
    way: 'Berth keeps the console’s log with the others',
  },
  { keys: /^lxc\.cgroup\.dir(?:\..+)?$/, agrees: never, way: 'Berth names the control groups' },
  { keys: /^lxc\.cgroup\.relative$/, agrees: off, way: 'Berth names the control groups' },
  {
    keys: /^lxc\.namespace\.share\.net$/,
    networks: ['pool', 'host', 'none'],
    agrees: never,
    way: 'the network block of run.json says which network it is in',
  },
  {
    keys: /^lxc\.net(?:\..+)?$/,
    networks: ['host', 'none'],
    agrees: ({ key, value }, { network }) =>
      /^lxc\.net\.\d+\.type$/.test(key) && value === (network === 'host' ? 'none' : 'empty'),
    way: 'the network block of run.json says which network it is in: remove one of them',
  },
  // The rules of pools have their own words for it: POOL_AND_BAKED.
  { keys: /^lxc\.net(?:\..+)?$/, networks: ['pool'], agrees: always, way: '' },
  // Who is nobody on the host would not come through the folders that keep others from containers' files.
  {
    keys: /^lxc\.idmap$/,
    agrees: never,
    way: 'there are no user namespaces, and root in a container is uid 0 (PV_LXC_CAP_DROP takes what it may not)',
  },
  { keys: /^lxc\.ephemeral$/, agrees: off, way: 'storage in run.json says what is kept (persistence "boot": nothing)' },
  {
    keys: /^lxc\.monitor\.unshare$/,
    agrees: off,
    way: 'Berth unmounts the root filesystem when the container has ended',
  },
  // Of lxc-autostart and lxc-execute only.
  { keys: /^lxc\.(?:start\..+|group|execute\.cmd)$/, agrees: always, way: '' },
];

function ruleOf({ key }: Pick<LxcEntry, 'key'>, network: NetworkKind | undefined): Rule | undefined {
  return RULES.find(
    ({ keys, networks }) =>
      keys.test(key) && (networks === undefined || (network !== undefined && networks.includes(network))),
  );
}

/** The line is not given to LXC: Berth sets that, or LXC does not know it. */
export function isOwned(entry: Pick<LxcEntry, 'key' | 'value'>, network: NetworkKind): boolean {
  // Without a console nothing is logged; any other path is where the console goes as well.
  if (entry.key === 'lxc.console.path') return entry.value === 'none';
  return isPantavisorKey(entry.key) || ruleOf(entry, network) !== undefined;
}

/** What a container's own lines ask for and Berth does not do, or LXC does not take. A line with an empty value only takes back, and is no conflict. */
export function ownedConflicts(entries: readonly LxcEntry[], owner: ConfigOwner): readonly OwnedConflict[] {
  const namespaces: NamespaceLists = {
    keep: new Set(namesOf(entries, 'lxc.namespace.keep')),
    clone: new Set(namesOf(entries, 'lxc.namespace.clone')),
  };
  return entries.flatMap((entry): OwnedConflict[] => {
    const { key, value, line, source } = entry;
    if (value === '') return [];
    const wrong = wrongValue(entry);
    if (wrong !== undefined) return [{ line, source, code: 'BAD_VALUE', reason: wrong }];
    if (key === 'lxc.rootfs.path') return rootConflicts(entry, owner);
    if (key === 'lxc.namespace.keep' || key === 'lxc.namespace.clone') return namespaceConflicts(entry, namespaces);
    const unshared = UNSHARED.get(key);
    if (unshared !== undefined) return [{ line, source, code: 'BAD_NAMESPACE', reason: `${key}: ${unshared}` }];
    if (key === 'lxc.mount.entry') return mountConflicts(entry, owner);
    const rule = ruleOf(entry, owner.network);
    if (rule === undefined || rule.agrees(entry, owner)) return [];
    return [
      {
        line,
        source,
        code: 'OWNED_KEY',
        reason: `"${key} = ${value}" is not for a container to say: ${rule.way}; remove the line`,
      },
    ];
  });
}

function rootConflicts({ key, value, line, source }: LxcEntry, owner: ConfigOwner): OwnedConflict[] {
  const refuse = (reason: string): OwnedConflict[] => [
    { line, source, code: 'BAD_ROOT_PATH', reason: `${key}: ${reason}` },
  ];
  const root = readRootPath(value, owner.container);
  if (!root.ok) return refuse(root.reason);
  const { container, rootVolume, volumes } = owner;
  const own = root.layers.filter((layer) => layer.container === container).map(({ file }) => file);
  if (rootVolume !== undefined && !own.includes(rootVolume)) {
    const named = root.layers.map((layer) => (layer.container === container ? '' : `${layer.container}/`) + layer.file);
    return refuse(
      `${named.join(' and ')} without root-volume ${rootVolume}; add it, or change root-volume in run.json`,
    );
  }
  const unknown = volumes && own.find((file) => !volumes.includes(file));
  if (unknown !== undefined) {
    return refuse(`${unknown} is no volume of run.json, which has ${volumes?.join(', ')}; add it to volumes there`);
  }
  const wrong = basesOf(root.layers, container).flatMap((base) => baseProblem(base, owner) ?? []);
  return wrong.slice(0, 1).flatMap(refuse);
}

function baseProblem(base: RootLayer, { container, bases }: ConfigOwner): string | undefined {
  if (bases === undefined) return undefined;
  const extension = `${container} is an extension of '${base.container}'`;
  if (!bases.has(base.container)) return `${extension}, and there is no such container; add it, or remove ${container}`;
  const volumes = bases.get(base.container);
  if (volumes === undefined || volumes.includes(base.file)) return undefined;
  const there = `${base.file} is no volume of that one’s run.json, which has ${volumes.join(', ')}`;
  return `${extension}, and ${there}; name one of these, or add it to volumes there`;
}

/** What all lines of a kind come to. */
interface NamespaceLists {
  readonly keep: ReadonlySet<string>;
  readonly clone: ReadonlySet<string>;
}

/** Its root would be moved away under whoever it shares mounts with; into a user namespace that it is in, as all are in one, nobody can go. */
const UNSHARED: ReadonlyMap<string, string> = new Map([
  ['lxc.namespace.share.mnt', 'a container has its own mounts; remove the line'],
  ['lxc.namespace.share.user', 'there are no user namespaces; remove the line'],
]);

function namespaceConflicts({ key, value, line, source }: LxcEntry, { keep, clone }: NamespaceLists): OwnedConflict[] {
  const refuse = (reason: string): OwnedConflict[] => [
    { line, source, code: 'BAD_NAMESPACE', reason: `${key}: ${reason}` },
  ];
  const names = value.split(/\s+/);
  const unknown = names.find((name) => !NAMESPACES.includes(name));
  if (unknown !== undefined) return refuse(`'${unknown}' is no namespace; there are ${NAMESPACES.join(', ')}`);
  // Its root would be moved away under everything else on the machine.
  const sharesMounts = key === 'lxc.namespace.keep' ? names.includes('mnt') : !clone.has('mnt');
  if (sharesMounts) {
    const way = key === 'lxc.namespace.keep' ? 'remove mnt from the line' : 'add mnt to the line';
    return refuse(`a container has its own mounts; ${way}`);
  }
  if (key === 'lxc.namespace.clone' && keep.size > 0) {
    return refuse('LXC takes this or lxc.namespace.keep, not both; remove one of them');
  }
  return [];
}

/** Of all lines since the last that clears the list. */
export function namesOf(entries: readonly Pick<LxcEntry, 'key' | 'value'>[], key: string): readonly string[] {
  const lines = entries.filter((entry) => entry.key === key);
  return lines.slice(lines.findLastIndex(({ value }) => value === '') + 1).flatMap(({ value }) => value.split(/\s+/));
}

function mountConflicts({ key, value, line, source }: LxcEntry, { container, volumes }: ConfigOwner): OwnedConflict[] {
  const fields = fieldsOf(value);
  const { target } = fields;
  if (target === 'pantavisor' || target.startsWith('pantavisor/')) {
    const reason = `mounts something at /${escapeBlanks(target)}, where Berth has the control sockets and logs; choose another place`;
    return [{ line, source, code: 'OWNED_KEY', reason }];
  }
  const overlay = readOverlay(fields, container);
  // What is optional is left out at a start.
  if (overlay === undefined || fields.options.has('optional')) return [];
  const refuse = (reason: string): OwnedConflict[] => [
    { line, source, code: 'BAD_VALUE', reason: `${key}: ${reason}` },
  ];
  if (!overlay.ok) return refuse(overlay.reason);
  const upper = overlay.writable?.volume;
  if (upper === undefined || volumes?.includes(upper) !== true) return [];
  return refuse(`upperdir is in ${upper}, which nobody can write to; write it in a volume of storage`);
}
