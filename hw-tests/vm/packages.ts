// What Debian's packages a virtual device is made of: chosen with their dependencies by apt, and fetched into the cache.
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What Berth needs on a device, what a test looks with, and a kernel with modules. */
export const PACKAGES: readonly string[] = [
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
  'busybox-static',
  'dash',
  'coreutils',
  'procps',
  'curl',
  'openssh-server',
  'libstdc++6',
  'linux-image-amd64',
];
/** They come along by dependency, and nothing of them is used without Debian's own init and installer. */
const LEFT_OUT =
  /^(perl|libperl|libfile-|libnumber-|libtext-|adduser|debconf|udev|initramfs|klibc|libklibc|linux-base|ca-cert|openssl$)/;

/** Of apt's, in a message. */
const MAX_WORDS = 500;

export interface Package {
  readonly name: string;
  readonly version: string;
}

/** No network that leads to Debian's packages, or none that has them. */
export class PackagesMissing extends Error {}

/** apt-get, whose own words are the reason. It gives up soon where nobody answers. */
function aptGet(args: readonly string[], options: ExecFileSyncOptionsWithStringEncoding): string {
  try {
    const patience = ['-o', 'Acquire::http::Timeout=20', '-o', 'Acquire::Retries=1'];
    return execFileSync('apt-get', [...patience, '-qq', ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new PackagesMissing(`Debian's packages cannot be had: ${words.slice(0, MAX_WORDS) || String(error)}`);
  }
}

/** apt as on a machine with nothing installed, so that whole dependencies are answered. */
function apt(folder: string, names: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  const status = join(folder, 'nothing-installed');
  writeFileSync(status, '');
  const options = ['-o', `Dir::State::status=${status}`, '--no-install-recommends', '--simulate'];
  return aptGet([...options, 'install', ...names], { encoding: 'utf8', maxBuffer: 1 << 24 });
}

/** A machine that is fresh from its image has no lists of packages yet. */
function simulated(folder: string, names: readonly string[]): string {
  try {
    return apt(folder, names);
  } catch {
    aptGet(['update'], { encoding: 'utf8' });
    return apt(folder, names);
  }
}

/** They and what they depend on. */
export function packagesOf(folder: string, names: readonly string[]): readonly Package[] {
  const rows = [...simulated(folder, names).matchAll(/^Inst (\S+) \((\S+) /gm)];
  return rows.map(([, name = '', version = '']) => ({ name, version })).filter(({ name }) => !LEFT_OUT.test(name));
}

/** Fetches them into the folder, where they are not there yet; resolves with their archives. */
export function archivesOf(folder: string, packages: readonly Package[]): readonly string[] {
  const versions = packages.map(({ name, version }) => `${name}=${version}`);
  aptGet(['-o', 'APT::Sandbox::User=root', 'download', ...versions], { cwd: folder, encoding: 'utf8' });
  // apt's names of archives: the colon of an epoch is %3a.
  const files = packages.flatMap(({ name, version }) => {
    const start = `${name}_${version.replaceAll(':', '%3a')}_`;
    return readdirSync(folder)
      .filter((file) => file.startsWith(start))
      .map((file) => join(folder, file));
  });
  if (files.length !== packages.length)
    throw new Error(`of ${packages.length} packages ${files.length} are in ${folder}`);
  return files;
}
