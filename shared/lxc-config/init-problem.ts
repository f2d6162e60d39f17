// The program that LXC would run as init, looked for in a root filesystem: LXC itself only says that exec failed. Pure, but for what the
// tree that it is given reads.
import type { Buffer } from 'node:buffer';
import { posix } from 'node:path';
import { interpreterOf } from './elf-interpreter.ts';
import type { LxcEntry } from './entry.ts';
import { initLine, splitCommand } from './init-command.ts';
import { fieldsOf } from './mount-entries.ts';

/** What is in a root filesystem. Paths are inside it, and no part before the last one is a link. */
export interface RootTree {
  /** Undefined: nothing is there. `unknown`: something is, of which nobody can tell what it will be. */
  readonly look: (path: string) => RootNode | undefined;
  /** The first bytes of a file, HEAD_BYTES of them at most. */
  readonly headOf: (path: string) => Buffer;
}

export type RootNode =
  | { readonly kind: 'file'; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'other' }
  | { readonly kind: 'unknown' };

/** What `lxc-start` runs when nothing is configured (lxc.container.conf(5)). */
const DEFAULT_INIT = '/sbin/init';
/** Where execvp(3) looks without a PATH: LXC clears the environment first. */
const DEFAULT_PATH = '/bin:/usr/bin';
/** Links on the way to one file: MAXSYMLINKS of linux. */
const MAX_LINKS = 40;
/** A script's interpreter may be a script (linux: fs/exec.c allows five). */
const MAX_INTERPRETERS = 5;

type Found =
  /** `path`: inside the root, without links. `node`: what is there; undefined where it ends in a step up or at a root, which are folders. */
  | { readonly kind: 'found'; readonly path: string; readonly node: RootNode | undefined }
  /** Below a mount that is made when the container starts, or one of what is unknown. */
  | { readonly kind: 'unknown' }
  /** `path`: the first part that is not there. */
  | { readonly kind: 'missing'; readonly path: string };

/** What to give to `lxc-start` as command; empty: nothing. */
export function initCommand(entries: readonly LxcEntry[]): readonly string[] {
  const command = splitCommand(initLine(entries)?.value ?? '');
  return command.ok ? command.words : [];
}

/** Why the container's init cannot be run, undefined when it can or when only the start itself can tell. */
export function initProblem(root: RootTree, entries: readonly LxcEntry[]): string | undefined {
  // Whatever these put into the root, nobody knows before they did.
  if (entries.some(({ key }) => /^lxc\.(?:hook\.(?:pre-mount|mount|autodev)|mount\.fstab)$/.test(key)))
    return undefined;
  const line = initLine(entries);
  const [program] = initCommand(entries);
  const origin =
    line === undefined || program === undefined
      ? `lxc.init.cmd is not set, so init is ${DEFAULT_INIT}`
      : `lxc.init.cmd (${posix.basename(line.source)}:${line.line}) runs ${program}`;
  const mounts = entries.flatMap(({ key, value }) => (key === 'lxc.mount.entry' ? [`/${fieldsOf(value).target}`] : []));
  const why = whyNotRun(root, program ?? DEFAULT_INIT, entries, mounts);
  return why === undefined ? undefined : `${origin}: ${why}; correct lxc.init.cmd, or add it to the root filesystem`;
}

function whyNotRun(
  root: RootTree,
  program: string,
  entries: readonly LxcEntry[],
  mounts: readonly string[],
): string | undefined {
  const last = (key: string): string | undefined => entries.findLast((entry) => entry.key === key)?.value;
  if (program.includes('/')) {
    const path = posix.resolve('/', last('lxc.init.cwd') ?? '/', program);
    return whyNotFile(root, path, mounts, MAX_INTERPRETERS);
  }
  // Which of the two comes first is LXC's to say.
  if (entries.some(({ key, value }) => key === 'lxc.environment.runtime' && value.startsWith('PATH'))) return undefined;
  const environment = entries.findLast(({ key, value }) => key === 'lxc.environment' && /^PATH(?:=|$)/.test(value));
  const path = environment === undefined ? DEFAULT_PATH : environment.value.slice('PATH='.length);
  // `lxc.environment = PATH` takes over what LXC itself was given.
  if (path === '') return undefined;
  const problems = path
    .split(':')
    .map((folder) => whyNotFile(root, posix.join('/', folder, program), mounts, MAX_INTERPRETERS));
  return problems.includes(undefined) ? undefined : `no ${program} in ${path}`;
}

function whyNotFile(root: RootTree, path: string, mounts: readonly string[], depth: number): string | undefined {
  const found = resolveInRoot(root, path, mounts);
  if (found.kind === 'unknown') return undefined;
  if (found.kind === 'missing') return found.path === path ? `no ${path}` : `no ${path}, as there is no ${found.path}`;
  const { node } = found;
  if (node?.kind !== 'file') return `${path} is no program`;
  if ((node.mode & 0o111) === 0) return `${path} is not executable (mode ${(node.mode & 0o777).toString(8)})`;
  const interpreter = interpreterOf(root.headOf(found.path));
  if (interpreter === undefined || depth === 0) return undefined;
  if (interpreter.endsWith('\r'))
    return `${path} has lines that end in CR LF, and the kernel takes the CR for part of its interpreter's name; save it with LF alone`;
  const why = whyNotFile(root, interpreter, mounts, depth - 1);
  return why === undefined ? undefined : `${path} needs ${interpreter}, and ${why}`;
}

/** Follows links as the container will: an absolute one starts at its own root. */
function resolveInRoot(root: RootTree, path: string, mounts: readonly string[]): Found {
  let parts = path.split('/').filter((part) => part !== '' && part !== '.');
  let done: string[] = [];
  let node: RootNode | undefined;
  for (let links = 0; parts.length > 0; ) {
    const [part = '', ...rest] = parts;
    parts = rest;
    node = undefined;
    if (part === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const here = `/${[...done, part].join('/')}`;
    if (mounts.includes(here)) return { kind: 'unknown' };
    const next = root.look(here);
    if (next === undefined) return { kind: 'missing', path: here };
    if (next.kind === 'unknown') return { kind: 'unknown' };
    if (next.kind !== 'link') {
      done = [...done, part];
      node = next;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return { kind: 'missing', path: here };
    if (next.target.startsWith('/')) done = [];
    parts = [...next.target.split('/').filter((each) => each !== '' && each !== '.'), ...parts];
  }
  return { kind: 'found', path: `/${done.join('/')}`, node };
}
