// The virtual device's kernel, initrd and root file system, put together from Debian's packages and cached by what they are made of.
// <cache>/<key>/vmlinuz  initrd  root.squashfs  host_key  client_key  client_key.pub  booted
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { eventually } from '../../test/kit/eventually.ts';
import { writeInitrd } from './initrd.ts';
import { LAYER_BYTES, STORAGE_BYTES, startMachine, WAITS } from './machine.ts';
import { layDownRoot } from './root.ts';

export interface VmImage {
  readonly kernel: string;
  readonly initrd: string;
  readonly root: string;
  /** The machine's state once the kernel has booted. */
  readonly state: string;
  /** Of the guest's sshd. */
  readonly hostKey: string;
  /** Who may log in as root, `.pub` beside it. */
  readonly clientKey: string;
}

const CACHE = '/var/cache/berth-vm';
/** What Berth needs on a device, what a test looks with, and a kernel with modules. */
const PACKAGES = [
  ...[
    'lxc',
    'nftables',
    'iptables',
    'iproute2',
    'util-linux',
    'mount',
    'kmod',
    'cryptsetup-bin',
    'dmsetup',
    'e2fsprogs',
  ],
  ...['busybox-static', 'dash', 'coreutils', 'procps', 'curl', 'openssh-server', 'libstdc++6', 'linux-image-amd64'],
];
/** They come along by dependency, and nothing of them is used without Debian's own init and installer. */
const LEFT_OUT =
  /^(perl|libperl|libfile-|libnumber-|libtext-|adduser|debconf|udev|initramfs|klibc|libklibc|linux-base|ca-cert|openssl$)/;

interface Package {
  readonly name: string;
  readonly version: string;
}

/** apt as on a machine with nothing installed, so that whole dependencies are answered, and nothing here is changed. */
function apt(folder: string, args: readonly string[]): string {
  mkdirSync(join(folder, 'partial'), { recursive: true });
  const status = join(folder, 'nothing-installed');
  writeFileSync(status, '');
  const options = [`Dir::State::status=${status}`, `Dir::Cache::archives=${folder}`, 'APT::Sandbox::User=root'];
  return execFileSync(
    'apt-get',
    [
      ...options.flatMap((each) => ['-o', each]),
      '-y',
      '-qq',
      '--no-install-recommends',
      ...args,
      'install',
      ...PACKAGES,
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 24 },
  );
}

/** A machine that is fresh from its image has no lists of packages yet. */
function simulated(folder: string): string {
  try {
    return apt(folder, ['--simulate']);
  } catch {
    execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'] });
    return apt(folder, ['--simulate']);
  }
}

function packagesOf(folder: string): readonly Package[] {
  const rows = [...simulated(folder).matchAll(/^Inst (\S+) \((\S+) /gm)];
  return rows.map(([, name = '', version = '']) => ({ name, version })).filter(({ name }) => !LEFT_OUT.test(name));
}

/** The same packages, the same Node and the same recipe make the same image. */
function keyOf(packages: readonly Package[]): string {
  const hash = createHash('sha256').update(JSON.stringify(packages));
  const node = statSync(process.execPath);
  hash.update(`${process.version} ${node.size} ${node.mtimeMs}`);
  for (const name of ['root.ts', 'initrd.ts', 'machine.ts', 'initrd-init.sh']) {
    hash.update(readFileSync(join(import.meta.dirname, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Builds it, where it is not there yet; older ones go. Root only. `say` hears what takes long. */
export async function vmImage(say: (line: string) => void, cache = CACHE): Promise<VmImage> {
  const archives = join(cache, 'archives');
  const packages = packagesOf(archives);
  const key = keyOf(packages);
  const folder = join(cache, key);
  if (!existsSync(folder)) {
    const startMs = performance.now();
    say(`building the image of the virtual device from ${packages.length} Debian packages`);
    apt(archives, ['--download-only']);
    build(archives, packages, `${folder}.partial`);
    await bootOnce(`${folder}.partial`);
    renameSync(`${folder}.partial`, folder);
    for (const name of readdirSync(cache))
      if (name !== key) rmSync(join(cache, name), { recursive: true, force: true });
    say(`built ${folder} in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  }
  const file = (name: string): string => join(folder, name);
  return {
    kernel: file('vmlinuz'),
    initrd: file('initrd'),
    root: file('root.squashfs'),
    state: file('booted'),
    hostKey: file('host_key'),
    clientKey: file('client_key'),
  };
}

function build(archives: string, packages: readonly Package[], folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  const root = join(folder, 'root');
  mkdirSync(root, { recursive: true });
  // apt's names of archives: the colon of an epoch is %3a.
  const files = packages.flatMap(({ name, version }) => {
    const start = `${name}_${version.replaceAll(':', '%3a')}_`;
    return readdirSync(archives)
      .filter((file) => file.startsWith(start))
      .map((file) => join(archives, file));
  });
  if (files.length !== packages.length)
    throw new Error(`of ${packages.length} packages ${files.length} are in ${archives}`);
  const { kernel, modules } = layDownRoot(root, files);
  writeInitrd(join(folder, 'initrd'), root, modules);
  renameSync(kernel, join(folder, 'vmlinuz'));
  for (const name of ['host_key', 'client_key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'berth-vm', '-f', join(folder, name)]);
  }
  // lz4: what a slow emulated processor reads fastest but for nothing at all.
  execFileSync(
    'mksquashfs',
    [root, join(folder, 'root.squashfs'), '-comp', 'lz4', '-no-progress', '-quiet', '-all-root'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  rmSync(root, { recursive: true, force: true });
}

const BOOT_MS = 300_000;

/** Up to where boots begin to differ; its state is kept. */
async function bootOnce(folder: string): Promise<void> {
  const file = (name: string): string => join(folder, name);
  const disks = { root: file('root.squashfs'), layer: file('no-layer'), storage: file('no-storage') };
  for (const [path, bytes] of [
    [disks.layer, LAYER_BYTES],
    [disks.storage, STORAGE_BYTES],
  ] as const) {
    writeFileSync(path, '');
    truncateSync(path, bytes);
  }
  const machine = startMachine({ kernel: file('vmlinuz'), initrd: file('initrd'), disks, sshPort: 0, folder }, false);
  try {
    await eventually(
      'the kernel of the virtual device',
      BOOT_MS,
      () => machine.isOff() || machine.console().includes(WAITS),
    );
    if (machine.isOff()) throw new Error(`qemu ended: ${machine.console().slice(-2000)}`);
    await machine.saveState(file('booted'));
  } finally {
    await machine.cut();
    rmSync(disks.layer);
    rmSync(disks.storage);
    rmSync(file('monitor'), { force: true });
  }
}
