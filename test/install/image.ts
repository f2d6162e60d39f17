// The root of an image to install into, as a folder; and the machine itself with its folders covered, so that nothing of it changes.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
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
import process from 'node:process';

export const ROOT = join(import.meta.dirname, '../..');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

function clean(more: Environment): NodeJS.ProcessEnv {
  const { DESTDIR: _, NODE_V8_COVERAGE: __, ...rest } = process.env;
  return { ...rest, ...more };
}

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
      env: clean(environment),
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

export interface CoveredMachine {
  run(command: string): Ran;
  close(): Promise<void>;
}

// Changes go to memory and are gone with the namespace, which ends with its first process and that with its input.
const COVER = `
set -e
mount -t tmpfs -o mode=755 berth-cover /mnt
for name in etc usr var; do
  mkdir -p /mnt/$name/upper /mnt/$name/work
  mount -t overlay berth-cover -o "lowerdir=/$name,upperdir=/mnt/$name/upper,workdir=/mnt/$name/work" "/$name"
done
mount -t tmpfs -o mode=755 berth-cover /run
echo covered
cat > /dev/null
`;

const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;

/** /etc, /usr, /var and /run can be written to without effect on the machine. No init runs in it. */
export async function coverMachine(): Promise<CoveredMachine> {
  const words = ['--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', COVER];
  const holder = spawn('setpriv', words, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: clean({}),
  });
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once('data', () => resolve());
    holder.once('exit', (code) => reject(new Error(`the machine could not be covered (${code})`)));
  });
  return {
    run(command) {
      const words = [`--target=${holder.pid}`, '--mount', `--wdns=${ROOT}`, '--', 'sh', '-c', command];
      const options = { encoding: 'utf8', env: clean({}), maxBuffer: MAX_OUTPUT_BYTES } as const;
      const { status, stdout, stderr } = spawnSync('nsenter', words, options);
      return { status, stdout, stderr };
    },
    close: () => ended(holder),
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.stdin?.end();
  });
}
