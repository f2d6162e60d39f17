// Disks of containers in this process, with stand-ins for what no test machine has: dm-crypt, keys in hardware, swap. They write down what
// they are asked, and keep an image's content readable, so that everything else is real.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type ContainerMounts, createContainerMounts } from '../../services/lxc-svc/container-mounts.ts';
import { type DiskTools, systemTools, type ToolResult } from '../../services/lxc-svc/disk-tools.ts';
import { createDisks } from '../../services/lxc-svc/disks.ts';
import { createMountRecords } from '../../services/lxc-svc/mount-records.ts';
import { type Logger, silentLogger } from '../../shared/log/logger.ts';
import { RUNDIR, STORAGE } from './rig.ts';

export interface DiskRig {
  readonly mounts: ContainerMounts;
  /** `program first-argument`, in order; cleared by the reader. */
  asked(): readonly string[];
  /** The whole lines. */
  askedInFull(): readonly string[];
  /** The next call of a program, as `asked` names it, fails. */
  failNext(call: string): void;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  /** `mounted one`, `unmounted one`, as log-svc is told. */
  readonly told: readonly string[];
  /** As a service that was killed leaves it: what is on disk and mounted stays, what was in memory is gone. */
  again(): DiskRig;
}

const PLACE = '/run/disk-rig';
const MAPPER = join(PLACE, 'mapper');
const SWAPS = join(PLACE, 'swaps');
const CAAM = join(PLACE, 'caam');
const shell = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: 'utf8' }).trim();

export interface DiskRigPlaces {
  readonly rundir: string;
  readonly storage: string;
}

export function openDiskRig({ rundir, storage }: DiskRigPlaces = { rundir: RUNDIR, storage: STORAGE }): DiskRig {
  for (const folder of [MAPPER, CAAM, join(rundir, 'lxc')]) mkdirSync(folder, { recursive: true });
  if (!existsSync(SWAPS)) writeFileSync(SWAPS, 'Filename Type Size Used Priority\n');
  const lines: string[] = [];
  const failing = new Set<string>();
  const errors: string[] = [];
  const warnings: string[] = [];
  const infos: string[] = [];
  const log: Logger = {
    ...silentLogger,
    error: (message) => errors.push(message),
    warn: (message) => warnings.push(message),
    info: (message) => infos.push(message),
  };
  const system = systemTools('cryptsetup');
  const tools: DiskTools = {
    mapper: MAPPER,
    swaps: SWAPS,
    caam: CAAM,
    sysfs: '/sys',
    dev: '/dev',
    async run(program, args, options) {
      lines.push([program, ...args].join(' '));
      if (failing.delete(nameOf(program, args))) throw new Error(`${program} ended with 1: told to`);
      const standIn = STAND_INS[program];
      return standIn === undefined ? system.run(program, args, options) : standIn(args);
    },
  };
  const places = { rundir, storage, tree: 'rig' };
  const told: string[] = [];
  const events = {
    mounted: (container: string) => void told.push(`mounted ${container}`),
    unmounted: (container: string) => void told.push(`unmounted ${container}`),
  };
  const disks = createDisks({ places, tools, log });
  return {
    // What is kept for a moment would be counted as left behind by whoever counts in the same turn.
    mounts: createContainerMounts({
      places,
      records: createMountRecords(places),
      disks,
      images: { keep: () => undefined },
      readerGid: undefined,
      log,
      events,
    }),
    asked: () => lines.splice(0).map((line) => nameOf(...splitLine(line))),
    askedInFull: () => lines.splice(0),
    failNext: (call) => failing.add(call),
    errors,
    warnings,
    infos,
    told,
    again: () => openDiskRig({ rundir, storage }),
  };
}

function splitLine(line: string): [string, string[]] {
  const [program = '', ...args] = line.split(' ');
  return [program, args];
}

/** Programs of several verbs with theirs. */
function nameOf(program: string, args: readonly string[]): string {
  return ['cryptsetup', 'dmsetup', 'keyctl', 'caam-keygen'].includes(program) ? `${program} ${args[0]}` : program;
}

const done = (stdout = ''): ToolResult => ({ exitCode: 0, stdout });

function map(image: string, name: string): ToolResult {
  symlinkSync(shell('losetup', '--find', '--show', image), join(MAPPER, name));
  return done();
}

function unmap(name: string): ToolResult {
  shell('losetup', '--detach', readlinkSync(join(MAPPER, name)));
  rmSync(join(MAPPER, name));
  return done();
}

/** As the kernel writes it (mm/swapfile.c): where links lead, in one word. */
function swapLine(path: string): string {
  const name = realpathSync(path).replace(
    /[ \t\n\\]/g,
    (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return `${name} file 1024 0 -2\n`;
}

const STAND_INS: Readonly<Record<string, (args: readonly string[]) => ToolResult>> = {
  cryptsetup: (args) => (args[0] === 'open' ? map(args.at(-2) ?? '', args.at(-1) ?? '') : unmap(args.at(-1) ?? '')),
  dmsetup: (args) => {
    if (args[0] === 'remove') return unmap(args.at(-1) ?? '');
    const loop = /\/dev\/loop\d+/.exec(args.at(-1) ?? '')?.[0] ?? '';
    return map(shell('losetup', '--list', '--noheadings', '--output', 'BACK-FILE', loop), args[1] ?? '');
  },
  keyctl: ([verb]) => done(verb === 'pipe' ? 'abcdef0123\n' : '4711\n'),
  'caam-keygen': ([verb, name = '', imported = '']) => {
    writeFileSync(join(CAAM, verb === 'create' ? `${name}.bb` : imported), `of ${basename(name)}`);
    return done();
  },
  swapon: ([path = '']) => {
    writeFileSync(SWAPS, `${readFileSync(SWAPS, 'utf8')}${swapLine(path)}`);
    return done();
  },
  swapoff: ([path = '']) => {
    writeFileSync(SWAPS, readFileSync(SWAPS, 'utf8').replace(swapLine(path), ''));
    return done();
  },
};
