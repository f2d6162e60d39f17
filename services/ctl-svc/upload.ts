// Takes a body to disk: state-svc says where to, the bytes are hashed as they pass. Memory stays flat however large it is.
import type { FileHandle } from 'node:fs/promises';
import type { Refusal } from '../../shared/ipc/contract.ts';
import { isFull, reasonOf } from '../../shared/kernel/system-error.ts';
import type { stateContract } from '../state-svc/contract.ts';
import { type BodyStream, Stalled } from './body-stream.ts';
import type { Sources } from './endpoint.ts';
import type { Figures } from './figures.ts';
import { type Reply, refuse, tryLater } from './reply.ts';

/** These texts are what clients compare, to the letter. */
export const NO_SPACE = refuse(507, 'Not enough disk space available');
export const BAD_CHECKSUM = refuse(422, 'Object has bad checksum');

const STALLED = refuse(408, 'Upload stood still for too long; nothing of it is kept');

export type Received =
  /** It is there already, and the body was thrown away. */
  | { readonly kind: 'present' }
  /** All of it is in the file of this upload. */
  | { readonly kind: 'written'; readonly id: string; readonly sha256: string }
  | { readonly kind: 'refused'; readonly reply: Reply };

/** `sha256`: of the object that it is to become; undefined for the JSON of a step. Whatever goes wrong, no upload is left. */
export async function receive(
  body: BodyStream,
  sha256: string | undefined,
  { peers: { state }, figures }: Pick<Sources, 'peers' | 'figures'>,
): Promise<Received> {
  // A number that no message holds, and no disk has room for.
  if (!Number.isSafeInteger(body.announcedBytes ?? 0)) return await refused(body, NO_SPACE);
  // Loaded with the first upload: OpenSSL costs the start of a process an eighth of its CPU time.
  const { randomBytes } = await import('node:crypto');
  const id = randomBytes(16).toString('hex');
  // Not waited for: state-svc forgets it by itself when it has gone.
  const abandon = (): void => void state.abandonUpload({ id }).catch(() => undefined);
  const begun = await state.beginUpload({ id, sha256, bytes: body.announcedBytes }).catch((fault: unknown) => {
    // Its answer may have come too late.
    abandon();
    throw fault;
  });
  if (!begun.ok) return await refused(body, beginRefusal(begun.error));
  if (begun.value.kind === 'present') {
    await body.discard();
    return { kind: 'present' };
  }
  const { path, roomBytes } = begun.value;
  try {
    return { kind: 'written', id, sha256: await writeTo(path, body, roomBytes, figures) };
  } catch (error) {
    abandon();
    // Nothing of it comes any more that could be thrown away.
    if (error instanceof Stalled) return { kind: 'refused', reply: STALLED };
    return await refused(
      body,
      error instanceof Full || isFull(error) ? NO_SPACE : refuse(500, `Upload failed: ${reasonOf(error)}`),
    );
  }
}

async function refused(body: BodyStream, reply: Reply): Promise<Received> {
  await body.discard();
  return { kind: 'refused', reply };
}

export function storeRefusal(error: Refusal<typeof stateContract, 'finishUpload'>): Reply {
  switch (error.code) {
    case 'NO_SPACE':
      return NO_SPACE;
    case 'NO_SUCH_UPLOAD':
      return tryLater('state-svc restarted while this was being uploaded; upload it again');
    case 'STORE_FAILED':
      return refuse(500, `Storage failed: ${error.reason}`);
  }
}

function beginRefusal(error: Refusal<typeof stateContract, 'beginUpload'>): Reply {
  if (error.code !== 'TOO_MANY_UPLOADS') return storeRefusal(error);
  return tryLater(`There are ${error.limit} uploads under way, more are not taken at a time; try again`);
}

class Full extends Error {}

/** Answers the sha256 of what came. */
async function writeTo(path: string, body: BodyStream, roomBytes: number, figures: Figures): Promise<string> {
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256');
  const { open } = await import('node:fs/promises');
  const file = await open(path, 'r+');
  try {
    let bytes = 0;
    // The disk writes one piece while the next one is hashed.
    let written: Promise<unknown> = Promise.resolve();
    for await (const piece of body.pieces()) {
      bytes += piece.length;
      figures.countUploaded(piece.length);
      if (bytes > roomBytes) throw new Full();
      hash.update(piece);
      await written;
      written = writeWhole(file, piece);
      // It is waited for in the next round; until then nobody else may hear of it.
      written.catch(() => undefined);
    }
    await written;
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}

async function writeWhole(file: FileHandle, piece: Buffer): Promise<void> {
  for (let done = 0; done < piece.length; ) done += (await file.write(piece, done)).bytesWritten;
}
