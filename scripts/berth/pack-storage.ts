// Writes a packed revision into a storage folder, piece by piece where nobody else gets, and then renamed to its place:
//   <storage>/.berth-pack.<pid>/           what is being made (pack-workplace.ts); beside the real folders where links stand for these
//   <storage>/objects/<sha256>             one copy of each, whoever uses it
//   <storage>/trails/<rev>/<path>          hard link to its object
//   <storage>/trails/<rev>/.pvr/json       the state
//   <storage>/trails/<rev>/.pv/progress    revision 0 only: it came with the device, so nothing is left to be tried
//   <storage>/trails/<rev>/.pv/commitmsg
//   <storage>/boot/current.json            last, and only when no revision is named there that exists: {"revision":"<rev>"}; made beside it, as
//                                          `boot` may be a mount of its own: .berth-pack.<random>. Or the file that the device has instead
//                                          (shared/revision/current-file.ts)
// What names another is written when that is on disk, so that a cut of the power leaves nothing that names what is not there.
// What root writes belongs to whom the folder belongs that it comes into: the services of a Berth that runs on it, which would else
// neither be able to say how far the revision has come, nor to remove it.
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { chmod, copyFile, lchown, link, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { currentFile } from '../../shared/revision/current-file.ts';
import { stockBoot } from '../../shared/revision/stock-boot.ts';
import { FACTORY } from '../../shared/schema/names.ts';
import { currentDocument } from './current-revision.ts';
import { PackFailure } from './pack-command.ts';
import { whileIdle } from './pack-idle.ts';
import { type ObjectContent, type PackedRevision, sha256OfFile } from './pack-state.ts';
import { isOpenToOthers, isStale, oldTrail, withWorkplace } from './pack-workplace.ts';
import { isEmptyStorage } from './seed-storage.ts';
import { settleFolder, settleTree } from './settle-folders.ts';

export type Outcome = 'written' | 'unchanged';

const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;
const NAME_BESIDE = /^\.berth-pack\.[0-9a-f]{32}$/;
const FACTORY_PROGRESS = { status: 'DONE', 'status-msg': 'Factory revision', progress: 100, retries: 0 };
/** Undefined when packing into it may go on; quick, so that it can be asked before anything is made. */
export function storageRefusal(storage: string): string | undefined {
  const found = statSync(storage, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isDirectory()) return `${storage} is a file; name a storage folder, or an archive ending in .tgz`;
  const names = readdirSync(storage);
  if (isEmptyStorage(storage) || names.includes('trails') || names.includes('objects')) return undefined;
  return `${storage} is no storage and not empty; name a new or empty folder`;
}

/** Throws PackFailure when another revision of that name is there and `force` is not set, or something runs on the storage. */
export async function writeToStorage(
  storage: string,
  revision: string,
  packed: PackedRevision,
  force: boolean,
): Promise<Outcome> {
  const trail = join(storage, 'trails', revision);
  const text = `${JSON.stringify(packed.state, undefined, 2)}\n`;
  const before = readIfPresent(join(trail, '.pvr/json'));
  const isOther = existsSync(trail) && before !== text;
  if (isOther && !force) {
    throw new PackFailure(`${trail} holds another revision ${revision}; take another name or --force`);
  }
  const write = () => writeAll(storage, revision, packed, text);
  return await (isOther ? whileIdle(storage, write) : write());
}

async function writeAll(storage: string, revision: string, packed: PackedRevision, text: string): Promise<Outcome> {
  const isNew = !existsSync(storage);
  for (const folder of ['boot', 'objects', 'trails']) await makeFolder(join(storage, folder), storage);
  if (isNew) settleFolder(dirname(storage));
  const outcome = await workBesideObjects(storage, (work) => writeBy(work, storage, revision, packed, text));
  if (!namesRevision(storage)) await nameRevision(storage, revision);
  return outcome;
}

/**
 * Services may write into the folders of the storage, and must not choose what root writes to. Beside the folder, and not beside a link
 * that stands for it, as renames do not lead from one file system to another.
 */
async function workBesideObjects<T>(storage: string, doWork: (work: string) => Promise<T>): Promise<T> {
  const [objects, trails] = [join(storage, 'objects'), join(storage, 'trails')];
  const parent = parentOf(storage, 'objects');
  try {
    return await withWorkplace(parent, trails, doWork);
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw error;
    throw new PackFailure(
      `${objects} and ${trails} are not in one mount, and a revision is made of hard links to its objects: ` +
        `mount a folder that has both, and put links to them into ${storage}`,
    );
  }
}

/** Without links. Throws PackFailure where others could take the folder away. */
function parentOf(storage: string, name: string): string {
  const parent = dirname(realpathSync(join(storage, name)));
  if (parent !== realpathSync(storage) && isOpenToOthers(parent)) {
    throw new PackFailure(`${join(storage, name)} is a link into ${parent}, where others than root may write; move it`);
  }
  return parent;
}

async function writeBy(
  work: string,
  storage: string,
  revision: string,
  packed: PackedRevision,
  text: string,
): Promise<Outcome> {
  const trail = join(storage, 'trails', revision);
  let fresh = false;
  for (const [digest, content] of packed.objects) {
    fresh = (await writeObject(work, join(storage, 'objects', digest), digest, content)) || fresh;
  }
  settleFolder(join(storage, 'objects'));
  const isThere =
    readIfPresent(join(trail, '.pvr/json')) === text && !fresh && linksAreRight(storage, trail, packed.state);
  if (!isThere) await replaceTrail(work, storage, revision, packed.state, text);
  for (const folder of [dirname(trail), join(storage, 'trails'), storage]) settleFolder(folder);
  return isThere ? 'unchanged' : 'written';
}

/** Who has the folder can put links there, so the file has a name that nobody knows before, and is told by its descriptor until it is whole. */
async function nameRevision(storage: string, revision: string): Promise<void> {
  const file = currentFile(storage);
  const name = dirname(file);
  const folder = join(parentOf(storage, name), basename(realpathSync(join(storage, name))));
  for (const entry of readdirSync(folder)) {
    const left = lstatSync(join(folder, entry), { throwIfNoEntry: false });
    if (NAME_BESIDE.test(entry) && left?.isFile() === true && isStale(left.mtimeMs)) await rm(join(folder, entry));
  }
  const beside = join(folder, `.berth-pack.${randomBytes(16).toString('hex')}`);
  try {
    const made = await open(beside, 'wx', 0o600);
    try {
      await made.writeFile(`${JSON.stringify({ revision })}\n`);
      const { uid, gid } = statSync(folder);
      if (process.getuid?.() === 0) await made.chown(uid, gid);
      await made.chmod(FILE_MODE);
      await made.sync();
    } finally {
      await made.close();
    }
    await rename(beside, join(folder, basename(file)));
  } finally {
    await rm(beside, { force: true });
  }
  settleFolder(folder);
}

/** Whether boot/current.json, what is there instead, or what Pantavisor left names a revision that has a state. One that is damaged is for people to look at: it is not replaced. */
function namesRevision(storage: string): boolean {
  const text = readIfPresent(join(storage, currentFile(storage)));
  if (text === undefined) {
    const { revision, startedLast } = stockBoot(storage);
    return (revision ?? startedLast) !== undefined;
  }
  try {
    const named = currentDocument.safeParse(JSON.parse(text));
    return !named.success || existsSync(join(storage, 'trails', named.data.revision, '.pvr/json'));
  } catch {
    return true;
  }
}

/** Answers whether it had to be written: an object that is there and whole stays untouched, and so do its links. */
async function writeObject(work: string, path: string, digest: string, content: ObjectContent): Promise<boolean> {
  if (existsSync(path) && (await sha256OfFile(path)) === digest) return false;
  const made = join(work, digest);
  if ('text' in content) await writeFile(made, content.text);
  else await copyFile(content.file, made);
  await settle(made);
  await moveInto(made, path, dirname(path));
  return true;
}

async function replaceTrail(
  work: string,
  storage: string,
  revision: string,
  state: PackedRevision['state'],
  text: string,
): Promise<void> {
  const trails = join(storage, 'trails');
  const trail = join(trails, revision);
  const made = join(work, 'trail');
  const old = oldTrail(work, revision);
  try {
    await makeFolder(join(made, '.pvr'), work);
    for (const [path, digest] of objectPaths(state)) {
      await makeFolder(dirname(join(made, path)), work);
      await link(join(storage, 'objects', digest), join(made, path));
    }
    await writeText(join(made, '.pvr/json'), text);
    await makeFolder(join(made, '.pv'), work);
    await writeText(join(made, '.pv/commitmsg'), 'Packed by berth\n');
    if (revision === FACTORY) await writeText(join(made, '.pv/progress'), JSON.stringify(FACTORY_PROGRESS));
    settleTree(made);
    if (!existsSync(dirname(trail))) {
      await makeFolder(join(work, 'parent'), work);
      await moveInto(join(work, 'parent'), dirname(trail), trails);
    }
    await mkdir(dirname(old));
    if (existsSync(trail)) await rename(trail, old);
    await moveInto(made, trail, trails);
  } finally {
    if (existsSync(old) && !existsSync(trail)) await rename(old, trail);
  }
}

/** It belongs to whom `folder` belongs before it has its name. */
async function moveInto(made: string, path: string, folder: string): Promise<void> {
  await giveAs(folder, made);
  await rename(made, path);
}

/** With all that is below it, but for objects, which have their owner. Nothing where others than root pack, or root has the folder. */
async function giveAs(folder: string, path: string): Promise<void> {
  const { uid, gid } = statSync(folder);
  if (process.getuid?.() !== 0 || uid === 0) return;
  const entry = lstatSync(path);
  if (!entry.isDirectory() && entry.nlink > 1) return;
  await lchown(path, uid, gid);
  if (!entry.isDirectory()) return;
  for (const name of await readdir(path)) await giveAs(folder, join(path, name));
}

function linksAreRight(storage: string, trail: string, state: PackedRevision['state']): boolean {
  return objectPaths(state).every(([path, digest]) => {
    const found = statSync(join(trail, path), { throwIfNoEntry: false });
    return found?.ino === statSync(join(storage, 'objects', digest)).ino;
  });
}

/** Every inline value of a packed state is a document, so a string is a sha256. */
function objectPaths(state: PackedRevision['state']): readonly (readonly [string, string])[] {
  return Object.entries(state).flatMap(([path, value]) =>
    typeof value === 'string' && path !== '#spec' ? [[path, value] as const] : [],
  );
}

/** With everything between `base` and it, and `base` itself; modes are set on what is new only. */
async function makeFolder(path: string, base: string): Promise<void> {
  for (const made of makeFolders(path)) {
    if (made === base || made.startsWith(`${base}/`)) await chmod(made, FOLDER_MODE);
  }
}

async function writeText(path: string, text: string): Promise<void> {
  const beside = `${path}.${process.pid}.new`;
  await writeFile(beside, text);
  await settle(beside);
  await rename(beside, path);
}

/** The mode that everybody may read with, whatever the umask; on disk before it gets its name. */
async function settle(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.chmod(FILE_MODE);
    await file.sync();
  } finally {
    await file.close();
  }
}

function readIfPresent(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
