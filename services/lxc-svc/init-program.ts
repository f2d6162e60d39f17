// Looks in a mounted root filesystem for the program that LXC would run as init: LXC itself only says that exec failed.
import { Buffer } from 'node:buffer';
import { closeSync, constants, lstatSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { posix } from 'node:path';
import { initLine, splitCommand } from '../../shared/lxc-config/init-command.ts';
import { mountTarget } from '../../shared/lxc-config/owned-keys.ts';
import type { LxcEntry } from '../../shared/lxc-config/parse.ts';
import { HEAD_BYTES, interpreterOf } from './elf-interpreter.ts';
import { usingInside } from './inside-path.ts';

/** What `lxc-start` runs when nothing is configured (lxc.container.conf(5)). */
const DEFAULT_INIT = '/sbin/init';
/** Where execvp(3) looks without a PATH: LXC clears the environment first. */
const DEFAULT_PATH = '/bin:/usr/bin';
/** Links on the way to one file: MAXSYMLINKS of linux. */
const MAX_LINKS = 40;
/** A script's interpreter may be a script (linux: fs/exec.c allows five). */
const MAX_INTERPRETERS = 5;

type Found =
  /** `path`: inside the root, without links. `stats`: its own; undefined where it ends in a step up or at a root, which are folders. */
  | { readonly kind: 'found'; readonly path: string; readonly stats: Stats | undefined }
  /** Below a mount that is made when the container starts. */
  | { readonly kind: 'mounted' }
  /** `path`: the first part that is not there. */
  | { readonly kind: 'missing'; readonly path: string };

/** What to give to `lxc-start` as command; empty: nothing. */
export function initCommand(entries: readonly LxcEntry[]): readonly string[] {
  const command = splitCommand(initLine(entries)?.value ?? '');
  return command.ok ? command.words : [];
}

/** Why the container's init cannot be run, undefined when it can or when only the start itself can tell. */
export function initProblem(rootfs: string, entries: readonly LxcEntry[]): string | undefined {
  // Whatever these put into the root, nobody knows before they did.
  if (entries.some(({ key }) => /^lxc\.(?:hook\.(?:pre-mount|mount|autodev)|mount\.fstab)$/.test(key)))
    return undefined;
  const line = initLine(entries);
  const [program] = initCommand(entries);
  const origin =
    line === undefined || program === undefined
      ? `lxc.init.cmd is not set, so init is ${DEFAULT_INIT}`
      : `lxc.init.cmd (${posix.basename(line.source)}:${line.line}) runs ${program}`;
  const mounts = entries.flatMap(({ key, value }) => (key === 'lxc.mount.entry' ? [`/${mountTarget(value)}`] : []));
  const why = whyNotRun(rootfs, program ?? DEFAULT_INIT, entries, mounts);
  return why === undefined ? undefined : `${origin}: ${why}; correct lxc.init.cmd, or add it to the root filesystem`;
}

function whyNotRun(
  rootfs: string,
  program: string,
  entries: readonly LxcEntry[],
  mounts: readonly string[],
): string | undefined {
  const last = (key: string): string | undefined => entries.findLast((entry) => entry.key === key)?.value;
  if (program.includes('/')) {
    const path = posix.resolve('/', last('lxc.init.cwd') ?? '/', program);
    return whyNotFile(rootfs, path, mounts, MAX_INTERPRETERS);
  }
  // Which of the two comes first is LXC's to say.
  if (entries.some(({ key, value }) => key === 'lxc.environment.runtime' && value.startsWith('PATH'))) return undefined;
  const environment = entries.findLast(({ key, value }) => key === 'lxc.environment' && /^PATH(?:=|$)/.test(value));
  const path = environment === undefined ? DEFAULT_PATH : environment.value.slice('PATH='.length);
  // `lxc.environment = PATH` takes over what LXC itself was given.
  if (path === '') return undefined;
  const problems = path
    .split(':')
    .map((folder) => whyNotFile(rootfs, posix.join('/', folder, program), mounts, MAX_INTERPRETERS));
  return problems.includes(undefined) ? undefined : `no ${program} in ${path}`;
}

function whyNotFile(rootfs: string, path: string, mounts: readonly string[], depth: number): string | undefined {
  const found = resolveInRoot(rootfs, path, mounts);
  if (found.kind === 'mounted') return undefined;
  if (found.kind === 'missing') return found.path === path ? `no ${path}` : `no ${path}, as there is no ${found.path}`;
  const { stats } = found;
  if (stats?.isFile() !== true) return `${path} is no program`;
  if ((stats.mode & 0o111) === 0) return `${path} is not executable (mode ${(stats.mode & 0o777).toString(8)})`;
  const interpreter = interpreterOf(headOf(rootfs, found.path));
  if (interpreter === undefined || depth === 0) return undefined;
  const why = whyNotFile(rootfs, interpreter, mounts, depth - 1);
  return why === undefined ? undefined : `${path} needs ${interpreter}, and ${why}`;
}

/** Follows links as the container will: an absolute one starts at its own root. */
function resolveInRoot(rootfs: string, path: string, mounts: readonly string[]): Found {
  let parts = path.split('/').filter((part) => part !== '' && part !== '.');
  let done: string[] = [];
  let stats: Stats | undefined;
  for (let links = 0; parts.length > 0; ) {
    const [part = '', ...rest] = parts;
    parts = rest;
    stats = undefined;
    if (part === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const here = `/${[...done, part].join('/')}`;
    if (mounts.includes(here)) return { kind: 'mounted' };
    const stat = lstatOf(posix.join(rootfs, here));
    if (stat === undefined) return { kind: 'missing', path: here };
    if (!stat.isSymbolicLink()) {
      done = [...done, part];
      stats = stat;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return { kind: 'missing', path: here };
    const target = readlinkSync(posix.join(rootfs, here));
    if (target.startsWith('/')) done = [];
    parts = [...target.split('/').filter((each) => each !== '' && each !== '.'), ...parts];
  }
  return { kind: 'found', path: `/${done.join('/')}`, stats };
}

function lstatOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // ENOENT, or ENOTDIR below a file.
    return undefined;
  }
}

/** Of all files: what is read is looked at before the next read. */
const head = Buffer.allocUnsafeSlow(HEAD_BYTES);

/** `inside`: without links, and opened so: another container may have the writable layer mounted, and make one of it meanwhile. */
function headOf(rootfs: string, inside: string): Buffer {
  return usingInside(rootfs, inside, (file) => {
    const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return head.subarray(0, readSync(opened, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(opened);
    }
  });
}
