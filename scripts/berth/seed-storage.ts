// Makes revision 0 of an empty storage: a device that has just been set up runs, without containers, and takes updates.
//
//   <storage>/.berth-seed.new/   being made; left by a kill, it is made anew
//   <storage>/.berth-seed/       whole and on disk; its pieces go to their places, and whoever comes after a kill goes on
//     trails/0/.pvr/json  .pv/{progress,commitmsg}
//     boot/current.json
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import { DEFAULT_DEVICE } from './default-device.ts';
import { settleFolder, settleTree } from './settle-folders.ts';

/** What may be in a folder that is no storage yet: the first is made by mke2fs(8). */
export const HARMLESS: readonly string[] = ['lost+found', '.berth-seed', '.berth-seed.new'];

const FILES: Readonly<Record<string, string>> = {
  'trails/0/.pvr/json': `${JSON.stringify({ '#spec': 'pantavisor-service-system@1', 'device.json': DEFAULT_DEVICE }, undefined, 2)}\n`,
  'trails/0/.pv/commitmsg': 'Made by Berth on empty storage\n',
  'trails/0/.pv/progress': JSON.stringify({
    status: 'DONE',
    'status-msg': 'Factory revision',
    progress: 100,
    retries: 0,
  }),
  'boot/current.json': `${JSON.stringify({ revision: '0' })}\n`,
};
/** In this order: what says which revision runs comes after it. */
const PIECES = ['trails/0', 'boot/current.json'];

/** Whether nothing is there that anybody would miss. */
export function isEmptyStorage(storage: string): boolean {
  return readdirSync(storage).every((name) => HARMLESS.includes(name));
}

/** Answers whether there is a new revision 0. What somebody put into a storage in the meantime stays as it is. */
export function seedStorage(storage: string): boolean {
  const steps = seeding(storage);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same in steps: a machine may lose its power after each of them. */
export function* seeding(storage: string): Generator<undefined, boolean> {
  const made = join(storage, '.berth-seed');
  const begun = join(storage, '.berth-seed.new');
  if (!existsSync(made) && isEmptyStorage(storage)) {
    rmSync(begun, { recursive: true, force: true });
    yield;
    for (const [path, text] of Object.entries(FILES)) {
      makeFolders(dirname(join(begun, path)), 0o755);
      yield;
      writeFileSync(join(begun, path), text, { mode: 0o644, flush: true });
      yield;
    }
    settleTree(begun);
    renameSync(begun, made);
    settleFolder(storage);
    yield;
  }
  rmSync(begun, { recursive: true, force: true });
  if (!existsSync(made)) return false;
  let isMoved = false;
  for (const piece of PIECES) isMoved = (yield* moving(storage, join(made, piece), join(storage, piece))) || isMoved;
  makeFolders(join(storage, 'objects'), 0o755);
  settleFolder(storage);
  yield;
  rmSync(made, { recursive: true });
  settleFolder(storage);
  return isMoved;
}

function* moving(storage: string, from: string, to: string): Generator<undefined, boolean> {
  if (!existsSync(from) || existsSync(to)) return false;
  makeFolders(dirname(to), 0o755);
  yield;
  renameSync(from, to);
  settleFolder(dirname(to));
  settleFolder(storage);
  yield;
  return true;
}
