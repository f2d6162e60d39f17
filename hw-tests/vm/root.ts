// The guest's root file system: packages unpacked without their scripts, this machine's Node, and the few files that scripts would have made.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

export interface LaidDown {
  readonly kernel: string;
  /** Folder of the kernel's modules. */
  readonly modules: string;
}

/** Of the kernel's package, as tar's patterns (a star crosses slashes): what a machine of qemu has, and what tests load. */
const KERNEL_FILES = [
  'boot/vmlinuz-*',
  'lib/modules/*/modules.*',
  ...[
    'arch',
    'crypto',
    'fs',
    'lib',
    'net',
    'drivers/block',
    'drivers/char',
    'drivers/md',
    'drivers/virtio',
    'drivers/watchdog',
  ].map((folder) => `lib/modules/*/kernel/${folder}/*`),
  ...['dummy', 'ifb', 'macvlan', 'net_failover', 'tun', 'veth', 'virtio_net'].map(
    (name) => `lib/modules/*/kernel/drivers/net/${name}.ko`,
  ),
];
const NOT_NEEDED = [
  'usr/share/doc/*',
  'usr/share/man/*',
  'usr/share/locale/*',
  'usr/lib/x86_64-linux-gnu/gconv/*',
  'usr/share/bash-completion/*',
];
const FOLDERS = ['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'storage', 'etc', 'var/lib', 'var/log', 'mnt'];
/** Files of /etc that the installer adds to. */
export const ACCOUNTS: Readonly<Record<string, string>> = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n',
  group: 'root:x:0:\nnogroup:x:65534:\n',
  shadow: 'root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n',
};
const FILES: Readonly<Record<string, string>> = {
  'etc/hostname': 'berth-vm\n',
  'etc/hosts': '127.0.0.1 localhost berth-vm\n',
};

export function layDownRoot(root: string, archives: readonly string[]): LaidDown {
  unpackAll(archives, root);
  for (const name of FOLDERS) mkdirSync(join(root, name), { recursive: true });
  for (const [path, text] of Object.entries(FILES)) writeFileSync(join(root, path), text);
  copyNode(root);
  linkBusybox(root);
  const [release = ''] = readdirSync(join(root, 'lib/modules'));
  stripSignatures(join(root, 'lib/modules', release));
  execFileSync('chroot', [root, '/sbin/depmod', release]);
  return { kernel: join(root, `boot/vmlinuz-${release}`), modules: join(root, 'lib/modules', release) };
}

export function unpackAll(archives: readonly string[], root: string): void {
  // Debian's layout since 12; archives still name /bin and /lib.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  for (const archive of archives) unpack(archive, root);
}

function unpack(archive: string, root: string): void {
  const chosen = /\/linux-image-\d/.test(archive)
    ? ['--wildcards', ...KERNEL_FILES.map((path) => `./${path}`)]
    : NOT_NEEDED.map((path) => `--exclude=./${path}`);
  const command =
    'archive=$1; shift; dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink --no-same-owner -C "$@"';
  execFileSync('bash', ['-o', 'pipefail', '-c', command, 'bash', archive, root, ...chosen]);
}

/** Of this machine, as Debian's own is too old; with the libraries that it names and Debian's packages did not bring. */
function copyNode(root: string): void {
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  copyFileSync(process.execPath, join(root, 'usr/local/bin/node'));
  const { stdout } = spawnSync('ldd', [process.execPath], { encoding: 'utf8' });
  for (const [, path = ''] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    if (existsSync(join(root, path))) continue;
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
}

/** Everything that no package brought: init, a shell's small programs, a web server. */
function linkBusybox(root: string): void {
  const { stdout } = spawnSync(join(root, 'bin/busybox'), ['--list'], { encoding: 'utf8' });
  const folders = ['bin', 'sbin', 'usr/local/bin'];
  for (const name of stdout.trim().split('\n')) {
    if (folders.some((folder) => isEntry(join(root, folder, name)))) continue;
    symlinkSync('/bin/busybox', join(root, 'sbin', name));
  }
}

/** Links of the guest lead nowhere here, and count. */
function isEntry(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const SIGNED = Buffer.from('~Module signature appended~\n');
/** struct module_signature (kernel: include/linux/module_signature.h): its last four bytes are the signature's length, big endian. */
const SIGNATURE_HEADER = 12;

/** This kernel takes unsigned modules too, and checking signatures is half a second for each on an emulated processor. */
function stripSignatures(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ko')) continue;
    const bytes = readFileSync(join(folder, name));
    if (!bytes.subarray(-SIGNED.length).equals(SIGNED)) continue;
    const header = bytes.length - SIGNED.length - SIGNATURE_HEADER;
    const length = bytes.readUInt32BE(header + SIGNATURE_HEADER - 4);
    writeFileSync(join(folder, name), bytes.subarray(0, header - length));
  }
}
