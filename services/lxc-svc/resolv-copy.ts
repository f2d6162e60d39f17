// The resolv.conf of one container that may write it, as VPNs and clients of DHCP in it do: in a tmpfs of its own, so that what it writes
// there is seen by no other container and takes no more of the host's memory than this.
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { KernelError } from '../../shared/kernel/libc.ts';
import { mount, unmount } from '../../shared/kernel/mount.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';

const OPTIONS = 'mode=0755,size=64k,nr_inodes=2';
const { O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;

const fileIn = (folder: string): string => `${folder}/resolv.conf`;

/** Nothing of the container runs: what it wrote before is gone. Answers where the file is. Throws what the system says. */
export function makeResolvCopy(folder: string, text: string): string {
  mkdirSync(folder, { recursive: true });
  try {
    unmount(folder, true);
  } catch (error) {
    // Nothing is mounted there.
    if (!(error instanceof KernelError && error.errno === 'EINVAL')) throw error;
  }
  mount('berth-resolv', folder, 'tmpfs', 0, OPTIONS);
  writeFileSync(fileIn(folder), text, { mode: 0o644 });
  return fileIn(folder);
}

/** Says `text` where it said `before`; what the container wrote itself stays, and there may be none. Throws what the system says. */
export function updateResolvCopy(folder: string, before: string, text: string): void {
  const file = openIfThere(fileIn(folder));
  if (file === undefined) return;
  try {
    const expected = Buffer.from(before);
    // Whatever its size says, no more is read than it may have.
    if (fstatSync(file).size !== expected.length) return;
    const found = Buffer.alloc(expected.length);
    if (readSync(file, found, 0, found.length, 0) !== found.length || !found.equals(expected)) return;
    const bytes = Buffer.from(text);
    writeSync(file, bytes, 0, bytes.length, 0);
    ftruncateSync(file, bytes.length);
  } finally {
    closeSync(file);
  }
}

/** What the container holds by a lease (fcntl(2)) is not waited for. */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
