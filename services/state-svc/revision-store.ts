// Revisions on disk, read and put in order:
//   <storage>/trails/<rev>/.pvr/json     the state
//   <storage>/trails/<rev>/<path>        hard link to objects/<sha256>
//   <storage>/objects/<sha256>           artifacts, shared between revisions
import { lstatSync, type Stats } from 'node:fs';
import { link, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { spareName } from '../../shared/kernel/spare-name.ts';
import { errorCode, isFull, reasonOf } from '../../shared/kernel/system-error.ts';
import { readConfigObject } from '../../shared/revision/config-object.ts';
import type { Problem } from '../../shared/revision/revision.ts';
import { sha256 } from '../../shared/schema/names.ts';
import { ensureFolders } from './atomic-file.ts';
import type { Checksums } from './checksum-pool.ts';
import type { KnownChecksums } from './known-checksums.ts';
import { AS_IT_IS, type Ownership } from './ownership.ts';
import { createSeenObjects } from './seen-objects.ts';
import { type Occasion, type SignatureCheck, UNCHECKED } from './signature-check.ts';

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export interface RevisionStore {
  /** The parsed JSON of the revision's state; nothing about its content is known yet. */
  readState(revision: string): Promise<Read<unknown>>;
  /** An LXC configuration as parseState reads it: of a large object the beginning; undefined when it is missing. */
  readObject(digest: string): string | undefined;
  /**
   * Hashes every object once; a problem per path whose object is missing, unreadable or different. On `put` those are not hashed that this
   * process has hashed, or had uploaded, and that look as they did: what is put is hashed again as `new` before it runs.
   */
  verifyObjects(objects: ReadonlyMap<string, string>, occasion?: Occasion | 'put'): Promise<readonly Problem[]>;
  /** Of the objects that a state names those that somebody else has put into the store become ours, before they are read. Never rejects. */
  claim(document: unknown): Promise<void>;
  /** Whether it was damaged, or could not be read, when this process hashed it last. */
  isSuspect(digest: string): boolean;
  /** Whether it is the object, as far as can be told without hashing it. */
  isSeen(digest: string): boolean;
  /** What is there now has been hashed. */
  onHashed(digest: string): void;
  verifySignatures: SignatureCheck;
  /** Makes the hard links that are missing and replaces those that lead elsewhere; right ones stay untouched. */
  checkOut(revision: string, objects: ReadonlyMap<string, string>): Promise<readonly Problem[]>;
}

const digests = z.record(z.string(), z.unknown());

export interface Verification {
  readonly signatures: SignatureCheck;
  /** Whether objects of a revision that was taken before are hashed again. */
  readonly rehash: boolean;
  /** What is known of them; undefined: nothing is taken for true but what was read. */
  readonly known?: KnownChecksums | undefined;
  readonly ownership?: Ownership | undefined;
}

export function openRevisionStore(
  storage: string,
  checksums: Checksums,
  { signatures, rehash, known, ownership = AS_IT_IS }: Verification = { signatures: UNCHECKED, rehash: true },
): RevisionStore {
  // Not joined: a revision has hundreds of paths, and each join goes through all of it, letter by letter.
  const objectPath = (digest: string): string => `${storage}/objects/${digest}`;
  const trail = (revision: string): string => join(storage, 'trails', revision);
  const suspects = new Set<string>();
  const seen = createSeenObjects();

  return {
    async readState(revision) {
      const path = join(trail(revision), '.pvr/json');
      const read = await readJson(path);
      if (read.ok && read.value === undefined) {
        return refused(
          path,
          'REVISION_MISSING',
          `revision ${revision} has no state here; install one with "berth pack"`,
        );
      }
      return read;
    },
    readObject(digest) {
      if (!sha256.safeParse(digest).success) return undefined;
      return readConfigObject(objectPath(digest));
    },
    async claim(document) {
      const claimed = [...new Set(objectsOf(document).values())].map(async (digest) => {
        const found = statOf(objectPath(digest));
        if (found !== undefined) await ownership.take(objectPath(digest), found);
      });
      await Promise.all(claimed);
    },
    isSuspect: (digest) => suspects.has(digest),
    isSeen: (digest) => seen.holds(objectPath(digest), digest),
    onHashed(digest) {
      suspects.delete(digest);
      seen.note(objectPath(digest), digest);
    },
    verifySignatures: signatures,
    async verifyObjects(objects, occasion = 'known') {
      // One that is missing is found when it is linked.
      if (occasion === 'known' && !rehash) return [];
      const hash = seen.noting(known?.hash ?? checksums.checksum);
      const read = occasion === 'new' || known === undefined ? hash : known.checksum;
      const verdicts = new Map<string, Promise<Verdict>>();
      for (const digest of objects.values()) {
        if (verdicts.has(digest)) continue;
        const isKept = occasion === 'put' && seen.holds(objectPath(digest), digest);
        verdicts.set(digest, isKept ? Promise.resolve(undefined) : verify(read, objectPath(digest), digest));
      }
      for (const [digest, pending] of verdicts) {
        const verdict = await pending;
        if (verdict !== undefined) seen.forget(digest);
        if (verdict === undefined || verdict.code === 'OBJECT_MISSING') suspects.delete(digest);
        else suspects.add(digest);
      }
      const problems: Problem[] = [];
      for (const [path, digest] of objects) {
        const verdict = await verdicts.get(digest);
        if (verdict !== undefined) problems.push({ path, ...verdict });
      }
      await known?.save();
      return problems;
    },
    async checkOut(revision, objects) {
      const problems: Problem[] = [];
      const folder = trail(revision);
      for (const [path, digest] of objects) {
        try {
          await linkTo(objectPath(digest), `${folder}/${path}`, `${folder}/.pv`);
        } catch (error) {
          const code = isFull(error) ? 'NO_SPACE' : 'CHECKOUT_FAILED';
          problems.push({ path, code, message: `cannot be linked to its object: ${String(error)}` });
        }
      }
      return problems;
    },
  };
}

/** Path → sha256 of everything in a state that is an object, also of one that fails validation; for listing all problems at once. */
export function objectsOf(document: unknown): ReadonlyMap<string, string> {
  const parsed = digests.safeParse(document);
  const objects = new Map<string, string>();
  for (const [path, value] of Object.entries(parsed.success ? parsed.data : {})) {
    const digest = sha256.safeParse(value);
    if (digest.success) objects.set(path, digest.data);
  }
  return objects;
}

type Verdict = Pick<Problem, 'code' | 'message'> | undefined;

async function verify(read: Checksums['checksum'], path: string, digest: string): Promise<Verdict> {
  const found = await read(path);
  if (found.ok && found.sha256 === digest) return undefined;
  const remedy = 'install the revision anew';
  if (found.ok) {
    return { code: 'OBJECT_CORRUPT', message: `object ${digest} has content with sha256 ${found.sha256}; ${remedy}` };
  }
  if (found.missing) return { code: 'OBJECT_MISSING', message: `object ${digest} is not in the store; ${remedy}` };
  return { code: 'OBJECT_UNREADABLE', message: `object ${digest} cannot be read: ${found.reason}` };
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** `own`: a folder that no path of a state leads into. */
async function linkTo(object: string, path: string, own: string): Promise<void> {
  const wanted = lstatSync(object);
  const found = statOf(path);
  if (found !== undefined && found.ino === wanted.ino && found.dev === wanted.dev) return;
  await ensureFolders(dirname(path));
  if (found?.isDirectory() === true) await rm(path, { recursive: true });
  // Made there and renamed, so that a wrong link never becomes a missing one for somebody who mounts it right now; a name beside it
  // may be another file of the revision, or too long.
  await ensureFolders(own);
  const beside = spareName(`${own}/link.new`);
  await rm(beside, { force: true });
  await link(object, beside);
  await rename(beside, path);
}

async function readJson(path: string): Promise<Read<unknown>> {
  try {
    // In threads: a state may be as large as it likes.
    return { ok: true, value: JSON.parse(await readFile(path, 'utf8')) };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { ok: true, value: undefined };
    return refused(path, 'NOT_JSON', `cannot be read as JSON: ${reasonOf(error)}`);
  }
}

function refused(
  path: string,
  code: string,
  message: string,
): { readonly ok: false; readonly problems: readonly Problem[] } {
  return { ok: false, problems: [{ path, code, message }] };
}
