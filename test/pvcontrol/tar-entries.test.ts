// Archives of real tar, cut and bent.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { BadArchive, tarEntries } from '../../scripts/pvcontrol/tar-entries.ts';

const LONG = `objects/${'a'.repeat(64)}`;

let folder: string;
let archive: Buffer;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tar-'));
  mkdirSync(join(folder, 'objects'));
  writeFileSync(join(folder, 'json'), '{}');
  writeFileSync(join(folder, 'empty'), '');
  writeFileSync(join(folder, LONG), 'x'.repeat(1500));
  symlinkSync('/etc/passwd', join(folder, 'link'));
  archive = execFileSync('tar', ['-cf', '-', '-C', folder, './json', 'empty', 'link', LONG]);
});
after(() => rmSync(folder, { recursive: true }));

async function read(bytes: Buffer, pieceBytes: number) {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  const found: [string, number][] = [];
  for await (const { name, content } of tarEntries(Readable.from(pieces))) {
    found.push([name, (await buffer(content)).length]);
  }
  return found;
}

const EXPECTED: [string, number][] = [
  ['json', 2],
  ['empty', 0],
  [LONG, 1500],
];

describe('tar entries', () => {
  it('are the regular files, however the archive comes in pieces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2000 }), async (pieceBytes) => {
        assert.deepEqual(await read(archive, pieceBytes), EXPECTED);
      }),
      { numRuns: 20 },
    );
  });

  it('can be left unread', async () => {
    const names: string[] = [];
    for await (const { name } of tarEntries(Readable.from([archive]))) names.push(name);
    assert.deepEqual(
      names,
      EXPECTED.map(([name]) => name),
    );
  });

  it('end in an error where the archive does, and never in silence within a file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 4000 }), async (length) => {
        const found = await read(archive.subarray(0, length), 700).catch((error: unknown) => error);
        if (Array.isArray(found)) assert.deepEqual(found, EXPECTED.slice(0, found.length));
        else assert.ok(found instanceof BadArchive, String(found));
      }),
    );
  });

  it('are none of something else', async () => {
    await assert.rejects(read(Buffer.alloc(1024, 'x'), 512), BadArchive);
  });
});
