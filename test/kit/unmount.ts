// Unmounts what a store wrote to: its last file may be closed behind the answer, and until then the mount is busy.
import { spawnSync } from 'node:child_process';
import { eventually, PATIENCE_MS } from './eventually.ts';

export async function unmount(folder: string): Promise<void> {
  let said = '';
  const look = (): boolean => {
    const { status, stderr } = spawnSync('umount', [folder], { encoding: 'utf8' });
    said = stderr;
    return status === 0;
  };
  await eventually(`umount ${folder}`, PATIENCE_MS, look).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${said}`);
  });
}
