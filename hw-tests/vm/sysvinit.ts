// Debian's sysvinit with OpenRC, to be laid over the guest's root file system in place of busybox's init: unpacked, and set up as their
// packages' scripts would.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { archivesOf, PACKAGES, packagesOf } from './packages.ts';
import { unpackAll } from './root.ts';

/** squashfs-tools: Berth's installer, which runs in this guest, asks for it. */
const MORE = ['sysvinit-core', 'openrc', 'initscripts', 'insserv', 'squashfs-tools'];
const GUEST = join(import.meta.dirname, 'guest');
/** Those of Debian's services that a machine without fstab(5) has something to do for; `berth-vm` is this guest's. */
const RUNLEVELS: Readonly<Record<string, readonly string[]>> = {
  sysinit: ['mountkernfs.sh', 'cgroups', 'mountdevsubfs.sh', 'berth-vm', 'mountall.sh', 'bootmisc.sh'],
  off: ['sendsigs', 'umountfs'],
};
/** Nobody logs in at the console. */
const NO_TERMINALS = /getty|sulogin|powerfail/;

/** `image`: the folder that it is cached in. */
export function sysvinitFolder(image: string, archives: string): string {
  const present = new Set(packagesOf(archives, PACKAGES).map(({ name }) => name));
  const packages = packagesOf(archives, [...PACKAGES, ...MORE]).filter(({ name }) => !present.has(name));
  const hash = createHash('sha256').update(JSON.stringify(packages));
  for (const file of [join(GUEST, 'berth-vm.openrc'), import.meta.filename]) hash.update(readFileSync(file));
  const folder = join(image, `sysvinit-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  unpackAll(archivesOf(archives, packages), partial);
  setUp(partial);
  renameSync(partial, folder);
  return folder;
}

function setUp(root: string): void {
  const table = readFileSync(join(root, 'usr/share/sysvinit/inittab'), 'utf8');
  const lines = table.split('\n').filter((line) => !NO_TERMINALS.test(line));
  writeFileSync(join(root, 'etc/inittab'), lines.join('\n'));
  cpSync(join(GUEST, 'berth-vm.openrc'), join(root, 'etc/init.d/berth-vm'));
  for (const [level, names] of Object.entries(RUNLEVELS)) {
    mkdirSync(join(root, 'etc/runlevels', level), { recursive: true });
    for (const name of names) symlinkSync(`/etc/init.d/${name}`, join(root, 'etc/runlevels', level, basename(name)));
  }
}
