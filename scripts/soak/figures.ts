// What is looked at after each cycle, when everything stands still.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { proportionalMemory } from '../../services/supervisor/process-record.ts';
import type { Tree } from '../../test/kit/tree.ts';
import { descriptorsOf, type Inventory, inventoryOf, serviceOf } from '../sandbox/inventory.ts';
import type { GrowthRules } from './growth.ts';

/** By name: `descriptors of state-svc`, `mounts`. */
export type Figures = Readonly<Record<string, number>>;

const COUNTED: Readonly<Record<string, string>> = {
  mounts: 'mount',
  links: 'link',
  'lines of rules': 'rule',
  'namespace files': 'namespace file',
  'loop devices': 'loop device',
  'control groups': 'control group',
  processes: 'process',
  'files of the run folder': 'file',
  namespaces: 'namespace',
};
const BYTES_PER_KB = 1_000;

export function figuresOf(tree: Tree): Figures {
  const inventory: Inventory = inventoryOf(tree);
  const counts = Object.entries(COUNTED).map(([name, kind]) => [name, inventory[kind]?.length ?? 0] as const);
  const descriptors = [...descriptorsOf(tree)].map(([name, count]) => [`descriptors of ${name}`, count] as const);
  const memory = tree
    .processes()
    .map((pid) => [`kB of ${serviceOf(pid)}`, Math.round(proportionalMemory(pid) / BYTES_PER_KB)] as const);
  return Object.fromEntries([
    ...counts,
    ...descriptors,
    ...memory,
    ['kB of disk', diskKb(tree)],
    ['files of the storage', filesOf(tree)],
  ]);
}

/** Of the storage, but for logs, which have a budget of their own. */
function diskKb({ storage }: Tree): number {
  const { stdout } = spawnSync('du', ['-sk', '--exclude=logs', join(storage, '.')], { encoding: 'utf8' });
  return Number(stdout.split(/\s+/)[0]);
}

function filesOf({ storage }: Tree): number {
  const logs = ['-path', join(storage, 'logs'), '-prune', '-o'];
  const { stdout } = spawnSync('find', [storage, ...logs, '-type', 'f', '-print'], { encoding: 'utf8' });
  return stdout.split('\n').length - 1;
}

/** One leaked per cycle is far above it, one in fifty cycles just. */
const COUNT_RULES: GrowthRules = { tolerated: 0.02, warmPart: 1 / 3, minPoints: 8 };
/** Code is compiled and heaps settle for hundreds of cycles; 20 kB per cycle are 20 MB in a thousand. */
const MEMORY_RULES: GrowthRules = { tolerated: 8, warmPart: 1 / 2, minPoints: 20, mostOfFirst: 2 };
/** Journals grow until they are compacted. */
const DISK_RULES: GrowthRules = { tolerated: 2, warmPart: 1 / 2, minPoints: 20 };

export function rulesOf(name: string): GrowthRules {
  if (name === 'kB of disk') return DISK_RULES;
  return name.startsWith('kB of ') ? MEMORY_RULES : COUNT_RULES;
}
