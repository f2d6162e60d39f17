// The first file system of the guest: busybox, the modules that disks and file systems need, in loading order, and a script.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const MODULES = ['virtio_pci', 'virtio_blk', 'squashfs', 'overlay', 'ext4'];

/** `modules`: the folder with modules.dep. */
export function writeInitrd(path: string, root: string, modules: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'berth-initrd-'));
  try {
    for (const name of ['bin', 'modules', 'dev', 'proc', 'sys', 'lower', 'upper', 'berth', 'root'])
      mkdirSync(join(folder, name));
    copyFileSync(join(root, 'bin/busybox'), join(folder, 'bin/busybox'));
    const files = loadingOrder(readFileSync(join(modules, 'modules.dep'), 'utf8'), MODULES);
    for (const file of files) copyFileSync(join(modules, file), join(folder, 'modules', basename(file)));
    writeFileSync(join(folder, 'modules/order'), `${files.map((file) => basename(file)).join('\n')}\n`);
    writeFileSync(join(folder, 'init'), readFileSync(join(import.meta.dirname, 'initrd-init.sh')), { mode: 0o755 });
    const command = 'cd "$1" && find . | busybox cpio -o -H newc >"$2" 2>/dev/null';
    execFileSync('sh', ['-c', command, 'sh', folder, path]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of modules.dep (depmod(8)) are `module: what it needs, nearest first`; what is built in has none. */
function loadingOrder(table: string, names: readonly string[]): readonly string[] {
  const lines = table.split('\n').map((line) => line.replace(':', '').trim().split(/\s+/));
  const order = names.flatMap((name) => {
    const line = lines.find(([file = '']) => basename(file, '.ko').replaceAll('-', '_') === name) ?? [];
    return [...line].reverse();
  });
  return [...new Set(order)];
}
