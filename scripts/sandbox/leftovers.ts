// What a tree in a sandbox could leave on the machine, and whether it did. Other trees may come and go meanwhile.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupsOf } from './cgroups.ts';
import type { Sandbox } from './sandbox.ts';

/** The machine's own network, rules and mounts, which no sandbox may change; one line per thing, starting with its kind. */
export type MachineState = ReadonlySet<string>;

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  link: ['ip', '-o', '-br', 'link'],
  address: ['ip', '-o', '-br', 'address'],
  route: ['ip', '-o', 'route', 'show', 'table', 'all'],
  netns: ['ip', 'netns', 'list'],
  rule: ['nft', 'list', 'ruleset'],
};

export function machineState(): MachineState {
  const lines = Object.entries(COMMANDS).flatMap(([kind, [program = '', ...args]]) =>
    (spawnSync(program, args, { encoding: 'utf8' }).stdout ?? '')
      .split('\n')
      .filter((line) => line.trim() !== '')
      // A route that a router announces has less time left whenever one looks.
      .map((line) => `${kind} ${line.trim().replace(/ expires \d+sec/, '')}`),
  );
  const mounts = readFileSync('/proc/self/mounts', 'utf8').trim().split('\n');
  return new Set([...lines, ...mounts.map((line) => `mount ${line}`)]);
}

/** What tells this tree's things from those of others, taken while it runs: afterwards the marks are gone. */
export interface Footprint {
  readonly pidNamespace: string;
  /** Of the control groups that it has, every one. */
  readonly cgroups: readonly string[];
  /** Inode numbers of the images that loop devices may be on. */
  readonly images: readonly number[];
  readonly folders: readonly string[];
}

export function footprintOf({ pid, shared }: Sandbox, storage: string): Footprint {
  const objects = join(storage, 'objects');
  return {
    pidNamespace: readlinkSync(`/proc/${pid}/ns/pid`),
    cgroups: cgroupsOf(join(shared, 'run')),
    images: readdirSync(objects).map((name) => statSync(join(objects, name)).ino),
    folders: [shared, storage],
  };
}

/** Everything of the tree that is still there, and everything of the machine that was not before. */
export function leftovers(
  before: MachineState,
  { pidNamespace, cgroups, images, folders }: Footprint,
): readonly string[] {
  return [
    ...[...machineState()].filter((line) => !before.has(line)),
    ...loopDevices(images),
    ...[...cgroups, ...folders].filter((path) => existsSync(path)).map((path) => `file ${path}`),
    ...processes((pid) => namespaceOf(pid) === pidNamespace || folders.some((path) => commandLine(pid).includes(path))),
  ];
}

function loopDevices(images: readonly number[]): readonly string[] {
  const args = ['--list', '--noheadings', '--output', 'BACK-INO,NAME,BACK-FILE'];
  const { stdout } = spawnSync('losetup', args, { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((line) => images.includes(Number(line.trim().split(/\s+/)[0])) && line.trim() !== '')
    .map((line) => `loop ${line.trim()}`);
}

/** A zombie has no command line any more, and holds nothing but its number until it is reaped. */
function processes(isOurs: (pid: number) => boolean): readonly string[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && commandLine(pid) !== '' && isOurs(pid))
    .map((pid) => `process ${pid} ${commandLine(pid)}`);
}

function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    // Gone meanwhile, or a zombie, which has none any more.
    return '';
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
