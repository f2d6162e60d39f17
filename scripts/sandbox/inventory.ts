// What a tree has of the machine, counted so that two looks at the same tree are the same: mounts, links, rules, processes and the like.
import { readdirSync, readFileSync } from 'node:fs';
import type { Tree } from '../../test/kit/tree.ts';
import { cgroupsOf } from './cgroups.ts';
import { STORAGE_INSIDE } from './sandbox.ts';

/** Lines of each kind, sorted. */
export type Inventory = Readonly<Record<string, readonly string[]>>;

const SERVICE = /([a-z]+-svc)\.js/;
/** Of the look itself, which is no part of the tree. */
const MARK = 'berth-inventory';

// A file of which a write was torn, `x.json.new`, is no leak: the next write of x.json replaces it. A mount by its place and kind: what it is of has a revision's name in it, and a loop device's number.
const LOOK = `
echo '# process'; ps -eo args --no-headers # berth-inventory
echo '# namespace'; lsns --noheadings --output TYPE
echo '# mount'; cut -d' ' -f2,3 /proc/self/mounts
echo '# device in use'; grep -o '^/dev/loop[0-9]*' /proc/self/mounts
echo '# link'; ip -o -br link | sed 's/@.*//' | cut -d' ' -f1
echo '# namespace file'; ls "$1/netns"
echo '# rule'; nft list ruleset
echo '# file'; find "$1" -xdev -type f -not -path '*/meta/*' -not -path '*/logs/*' | sed 's/[0-9]\\{6,\\}/N/'
echo '# incoming'; find "$2/objects/incoming" -type f
echo '# written beside'; find "$2/boot" "$2/cache" "$2/ipam" "$2/supervisor" -type f | grep -v '[.]json\\([.]new\\)\\?$' | sed 's/[0-9]\\+/N/'
`;

export function inventoryOf(tree: Tree): Inventory {
  const { stdout } = tree.inside(['sh', '-c', LOOK, MARK, tree.rundir, STORAGE_INSIDE]);
  const kinds: Record<string, string[]> = {};
  let current: string[] = [];
  for (const line of stdout.split('\n').map((each) => each.trim())) {
    if (line.startsWith('# ')) {
      current = [];
      kinds[line.slice(2)] = current;
    } else if (line !== '') current.push(line);
  }
  // Containers of one image share its device, so their number follows from what runs; one that nothing is mounted of is left behind.
  const { 'device in use': used = [], ...rest } = kinds;
  const idle = tree.loopDevices().filter((line) => !used.includes(line.split(' ')[0] ?? ''));
  const found: Record<string, readonly string[]> = {
    ...rest,
    'loop device': idle.map(() => 'of an image'),
    'control group': cgroupsOf(tree.rundir),
    process: (rest.process ?? []).filter((line) => !line.includes(MARK) && !line.startsWith('ps -eo args')).map(nameOf),
  };
  return Object.fromEntries(Object.entries(found).map(([kind, lines]) => [kind, [...lines].sort()]));
}

/** What one has and the other has not, a line each. */
export function differences(before: Inventory, now: Inventory): readonly string[] {
  return Object.keys({ ...before, ...now }).flatMap((kind) => {
    const [first, last] = [before[kind] ?? [], now[kind] ?? []];
    return [
      ...without(last, first).map((line) => `${kind} more: ${line}`),
      ...without(first, last).map((line) => `${kind} less: ${line}`),
    ];
  });
}

function without(lines: readonly string[], others: readonly string[]): readonly string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** A process by its command line without what differs from run to run; one of ours by its name alone. */
function nameOf(commandLine: string): string {
  return SERVICE.exec(commandLine)?.[1] ?? commandLine.replace(/\d{4,}/g, 'N').slice(0, 200);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Open descriptors of the supervisor and each service. */
export function descriptorsOf(tree: Tree): ReadonlyMap<string, number> {
  return new Map(
    tree.processes().flatMap((pid) => {
      const name = serviceOf(pid);
      try {
        return [[name, readdirSync(`/proc/${pid}/fd`).length] as const];
      } catch {
        return [];
      }
    }),
  );
}

/** A process that is none of ours any more, or not yet, has no name. */
export function serviceOf(pid: number): string {
  const line = commandLine(String(pid));
  return SERVICE.exec(line)?.[1] ?? (line.includes('berth.js') ? 'supervisor' : '');
}
