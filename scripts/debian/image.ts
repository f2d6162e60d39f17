// Root filesystems of Debian, made with debootstrap(8) and packed with mksquashfs(1), kept in a folder for the next time.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

export interface Image {
  readonly name: string;
  /** Debian packages beside those of a minbase. */
  readonly packages: readonly string[];
}

export interface ImageSource {
  /** Where finished images are kept. */
  readonly cache: string;
  /** As `http://deb.debian.org/debian`. */
  readonly mirror: string;
  /** As `bookworm`. */
  readonly suite: string;
  readonly say: (line: string) => void;
}

/** Documentation and package lists that a container has no use for. */
const UNUSED = ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'];

/** Answers the path of its squashfs; takes minutes the first time. */
export async function debianImage({ name, packages }: Image, source: ImageSource): Promise<string> {
  const { cache, mirror, suite, say } = source;
  const image = join(cache, `${suite}-${name}.squashfs`);
  if (existsSync(image)) return image;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, `.${name}-`));
  try {
    const rootfs = join(work, 'rootfs');
    say(`${name}: debootstrap of ${suite} with ${packages.join(', ')} from ${mirror}`);
    await execa('debootstrap', ['--variant=minbase', `--include=${packages.join(',')}`, suite, rootfs, mirror]);
    const squashfs = join(work, 'root.squashfs');
    await execa('mksquashfs', [rootfs, squashfs, '-noappend', '-no-progress', '-comp', 'zstd', '-e', ...UNUSED]);
    // Finished or not there at all.
    renameSync(squashfs, image);
    say(`${name}: ${Math.round(statSync(image).size / 1e6)} MB in ${image}`);
    return image;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
