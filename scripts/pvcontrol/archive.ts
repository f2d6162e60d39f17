// Brings what an archive of berth pack or pvr holds onto the device. In: a .tgz; out: its objects are there, and the state as it is written.
import { createReadStream, statSync } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import type { Answer } from './control-socket.ts';
import { stepPath } from './device-commands.ts';
import { BadArchive, tarEntries } from './tar-entries.ts';
import { send } from './transfer.ts';

const OBJECT_ENTRY = /^objects\/([0-9a-f]{64})$/;

export type OnProgress = (what: string, fraction: number) => void;

/** The state, or what refused an object: it stops at the first. Throws BadArchive, NoAnswer, or what Node says of the file. */
export async function sendObjects(socket: string, file: string, onProgress: OnProgress): Promise<string | Answer> {
  const { size } = statSync(file);
  const raw = createReadStream(file);
  let read = 0;
  raw.on('data', (chunk) => {
    read += chunk.length;
    onProgress(basename(file), read / size);
  });
  const unpacked = raw.pipe(createGunzip());
  // zlib would say "incorrect header check".
  raw.once('data', (chunk) => {
    if (!isGzip(chunk)) unpacked.destroy(new BadArchive('it is not compressed with gzip'));
  });
  raw.on('error', (error) => unpacked.destroy(error));
  let state: string | undefined;
  for await (const entry of tarEntries(unpacked)) {
    const [, sha] = OBJECT_ENTRY.exec(entry.name) ?? [];
    if (entry.name === 'json') state = await text(entry.content);
    if (sha === undefined) continue;
    const answer = await send(socket, `/objects/${sha}`, { stream: entry.content, bytes: entry.bytes });
    if (answer.status !== 200) return answer;
  }
  if (state === undefined) throw new BadArchive('it holds no json, the state of the revision');
  return state;
}

/** It is verified with all of its objects there, so they come first. */
export async function sendState(socket: string, name: string, state: string): Promise<Answer> {
  const stream = Readable.from([state], { objectMode: false });
  return await send(socket, `/steps/${stepPath(name)}`, { stream, bytes: Buffer.byteLength(state) });
}

/** RFC 1952, section 2.3.1. One byte alone ends early. */
function isGzip(head: string | Buffer): boolean {
  const [first, second = 0x8b] = Buffer.from(head);
  return first === 0x1f && second === 0x8b;
}
