// The virtual device's kernel, initrd and root file system, put together from Debian's packages and cached by what they are made of.
// <cache>/archives/ (Debian's)  <key>/vmlinuz  initrd  root.squashfs  host_key  client_key  client_key.pub  booted  sysvinit-…/
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
import { archivesOf, PACKAGES, type Package, packagesOf } from './packages.ts';
import { layDownRoot } from './root.ts';
import { sysvinitFolder } from './sysvinit.ts';

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
  /** Answers a folder with Debian's sysvinit and OpenRC, to be laid over the root file system; builds it, where it is not there yet. */
  readonly sysvinit: () => string;
}

const CACHE = '/var/cache/berth-vm';

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
  const packages = packagesOf(archives, PACKAGES);
  const key = keyOf(packages);
  const folder = join(cache, key);
  if (!existsSync(folder)) {
    const startMs = performance.now();
    say(`building the image of the virtual device from ${packages.length} Debian packages`);
    build(archivesOf(archives, packages), `${folder}.partial`);
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
    sysvinit: () => sysvinitFolder(folder, archives),
  };
}

function build(files: readonly string[], folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  const root = join(folder, 'root');
  mkdirSync(root, { recursive: true });
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
