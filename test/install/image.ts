// The root of an image to install into, as a folder.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cleanEnvironment, type Ran } from '../kit/covered-machine.ts';

export const ROOT = join(import.meta.dirname, '../..');

type Environment = Readonly<Record<string, string>>;

export interface Image {
  readonly root: string;
  write(path: string, text: string, mode?: number): void;
  read(path: string): string;
  /** Every path below it, with its mode and what is in it. */
  list(): readonly string[];
  install(words: readonly string[], environment?: Environment): Ran;
  uninstall(words?: readonly string[]): Ran;
  remove(): void;
}

const FILES: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
  'etc/group': 'root:x:0:\n',
  'etc/shadow': 'root:*:1::::::\n',
  'usr/lib/systemd/systemd': '',
};

/** With a few files that every system has. */
export function makeImage(): Image {
  const root = mkdtempSync(join(tmpdir(), 'berth-image-'));
  chmodSync(root, 0o755);
  const write = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode });
  };
  for (const [path, text] of Object.entries(FILES)) write(path, text, path.endsWith('systemd') ? 0o755 : 0o644);
  const run = (program: string, words: readonly string[], environment: Environment): Ran => {
    const { status, stdout, stderr } = spawnSync(program, ['--destdir', root, ...words], {
      cwd: '/',
      encoding: 'utf8',
      env: cleanEnvironment(environment),
    });
    return { status, stdout, stderr };
  };
  return {
    root,
    write,
    read: (path) => readFileSync(join(root, path), 'utf8'),
    list: () =>
      readdirSync(root, { recursive: true, encoding: 'utf8' })
        .map((path) => `${path}: ${described(join(root, path))}`)
        .sort(),
    install: (words, environment = {}) => run(join(ROOT, 'scripts/install'), words, environment),
    uninstall: (words = []) => run(join(ROOT, 'scripts/uninstall'), words, {}),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Lines that are in one of them only: a message that can be read. */
export function differences(before: readonly string[], after: readonly string[]): readonly string[] {
  const [old, now] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ];
}

function described(path: string): string {
  const stat = lstatSync(path);
  const mode = (stat.mode & 0o7777).toString(8);
  if (stat.isSymbolicLink()) return `link to ${readlinkSync(path)}`;
  if (stat.isDirectory()) return `folder ${mode}`;
  return `file ${mode} ${createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12)}`;
}
