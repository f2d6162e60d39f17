// What Berth could leave on a machine: links, addresses, routes, namespaces, mounts, loop devices, rules, control groups, processes.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { listCgroups } from './cgroups.ts';

/** One line per thing, each starting with its kind. */
export type Inventory = ReadonlySet<string>;

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  link: ['ip', '-o', '-br', 'link'],
  address: ['ip', '-o', '-br', 'address'],
  route: ['ip', '-o', 'route', 'show', 'table', 'all'],
  netns: ['ip', 'netns', 'list'],
  loop: ['losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE'],
  rule: ['nft', 'list', 'ruleset'],
};
/** Started by, or for, a tree; a machine's other processes come and go as they like. */
const OURS = /\bberth\b|\blxc-|\[lxc monitor\]|lxc monitor|outside-host/;

/** `except`: processes of the caller itself. */
export function takeInventory(except: readonly number[]): Inventory {
  const lines = Object.entries(COMMANDS).flatMap(([kind, [program = '', ...args]]) =>
    (spawnSync(program, args, { encoding: 'utf8' }).stdout ?? '')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => `${kind} ${line.trim()}`),
  );
  const mounts = readFileSync('/proc/self/mounts', 'utf8').trim().split('\n');
  const temporary = readdirSync(tmpdir()).filter((name) => name.startsWith('berth-'));
  return new Set([
    ...lines,
    ...mounts.map((line) => `mount ${line}`),
    ...listCgroups().map((path) => `cgroup ${path}`),
    ...temporary.map((name) => `file ${tmpdir()}/${name}`),
    ...ownProcesses(except),
  ]);
}

function ownProcesses(except: readonly number[]): readonly string[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || except.includes(pid)) return [];
    const command = commandLine(pid);
    return OURS.test(command) ? [`process ${pid} ${command}`] : [];
  });
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** What is there now and was not before. */
export function leftovers(before: Inventory, now: Inventory): readonly string[] {
  return [...now].filter((line) => !before.has(line));
}
