// What containers write as it is, laid down by processes that are killed at any moment, in the middle of a write too.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { WrittenPlace } from '../../services/log-svc/carried-bytes.ts';
import { type LogFolder, openLogFolder } from '../../services/log-svc/log-folder.ts';
import { makePlace, type Place, readGenerations, retentionOf, rotatedFiles } from './log-rig.ts';

const FILE_BYTES = 16 * 1024;
type Written = Readonly<Record<string, WrittenPlace>>;

describe('log-svc.carriedBytes', () => {
  let place: Place;
  /** What would be on disk: the cursor in what is read, and the places in the files. */
  let saved: { readonly offset: number; readonly written: Written };
  /** Behind what was appended, and before what is being appended. */
  let readTo: number;
  let lives: LogFolder[];
  const open = (fileBytes = FILE_BYTES): LogFolder => {
    const folder = openLogFolder({
      root: place.log(),
      retention: retentionOf(fileBytes, 64 * 1024 * 1024),
      compressWorker: undefined,
      written: saved.written,
      listener: {
        onLoss: (path, reason) => assert.fail(`${path}: ${reason}`),
        onRecovered: () => undefined,
        onNote: () => undefined,
        onBegin() {
          saved = { offset: readTo, written: folder.written() };
        },
      },
    });
    lives.push(folder);
    folder.openRevision('0');
    return folder;
  };
  const path = (container: string): string => place.log('0', container, 'lxc/console.log');
  const put = (folder: LogFolder, container: string, text: string): void =>
    folder.append(`${container}/lxc/console.log`, Buffer.from(text));

  beforeEach(() => {
    place = makePlace();
    saved = { offset: 0, written: {} };
    readTo = 0;
    lives = [];
  });
  afterEach(() => {
    for (const life of lives) life.close();
    place.remove();
  });

  it('goes on in the middle of a line that a kill tore, and writes nothing twice', () => {
    const first = open();
    put(first, 'web', 'one\ntw');
    saved = { offset: 6, written: first.written() };
    put(first, 'web', 'o\nthree\nfour\n');
    truncateSync(path('web'), 'one\ntwo\nthr'.length);
    const second = open();
    put(second, 'web', 'o\nthr');
    put(second, 'web', 'ee\nfour\nfive\n');
    assert.equal(readFileSync(path('web'), 'utf8'), 'one\ntwo\nthree\nfour\nfive\n');
  });

  it('knows the place of a file from its first byte on, one that others wrote to before too', () => {
    put(open(), 'web', 'one\ntwo\n');
    truncateSync(path('web'), 'o'.length);
    const second = open();
    put(second, 'web', 'one\ntwo\n');
    assert.equal(readFileSync(path('web'), 'utf8'), 'one\ntwo\n');
    saved = { offset: 0, written: {} };
    appendFileSync(path('web'), 'login: ');
    put(open(), 'web', 'of another boot\n');
    assert.equal(readFileSync(path('web'), 'utf8'), 'one\ntwo\nlogin: \nof another boot\n');
  });

  it('leaves a prompt as it is over a stop, a kill at rest, and files that are opened anew', () => {
    const first = open();
    put(first, 'web', 'login: ');
    first.refresh();
    put(first, 'web', 'ro');
    saved = { offset: 9, written: first.written() };
    // The one in between has nothing to say of it.
    const second = open();
    put(second, 'other', 'x');
    saved = { ...saved, written: second.written() };
    put(open(), 'web', 'ot\n');
    assert.equal(readFileSync(path('web'), 'utf8'), 'login: root\n');
  });

  it('repeats on a line of its own where something else comes than what stands there', () => {
    const first = open();
    put(first, 'web', 'one\n');
    saved = { offset: 4, written: first.written() };
    put(first, 'web', 'two\nthr');
    put(open(), 'web', 'another container\n');
    assert.equal(readFileSync(path('web'), 'utf8'), 'one\ntwo\nthr\nanother container\n');
  });

  it('passes over what stands there also when it is too much for the file with it', () => {
    const first = open();
    put(first, 'web', `${'x'.repeat(10_000)}\n`);
    saved = { offset: 10_001, written: first.written() };
    const more = `${'y'.repeat(6_000)}\n`;
    put(first, 'web', more);
    put(open(), 'web', more);
    assert.equal(statSync(path('web')).size, 10_001 + more.length);
    assert.deepEqual(rotatedFiles(path('web')), []);
  });

  /** The end of a line in each: where a piece of a line is all that was read since the cursor, a rotation behind it can cost that line. */
  const chunk = fc.record({ bytes: fc.integer({ min: 100, max: 5_000 }), isSaved: fc.boolean() });
  const life = fc.record({ chunks: fc.array(chunk, { minLength: 1, maxLength: 6 }), torn: fc.nat() });
  const streamOf = (bytes: number): string => {
    let text = '';
    for (let line = 0; text.length < bytes; line++) text += `line ${line} ${'.'.repeat(line % 60)}\n`;
    return text.slice(0, bytes);
  };
  /** Each life reads on from the saved cursor, and is killed in its last write. Answers what was read at most. */
  const runLives = (
    all: readonly { chunks: { bytes: number; isSaved: boolean }[]; torn: number }[],
    fileBytes: number,
  ) => {
    const container = `c${lives.length}`;
    const stream = Buffer.from(streamOf(160_000));
    saved = { offset: 0, written: {} };
    for (const { chunks, torn } of all) {
      const folder = open(fileBytes);
      let offset = saved.offset;
      let before = 0;
      for (const { bytes, isSaved } of chunks) {
        before = sizeOf(path(container));
        readTo = offset;
        folder.append(`${container}/lxc/console.log`, stream.subarray(offset, offset + bytes));
        offset += bytes;
        if (isSaved) saved = { offset, written: folder.written() };
      }
      const size = sizeOf(path(container));
      // What the last write added, if it is not known to be there: a rotation before it leaves a new file.
      const from = Math.max(size < before ? 0 : before, saved.offset === offset ? size : 0);
      truncateSync(path(container), from + (torn % (size - from + 1)));
    }
    const last = open(fileBytes);
    readTo = saved.offset;
    last.append(`${container}/lxc/console.log`, stream.subarray(saved.offset));
    return { text: readGenerations(path(container)), stream: stream.toString() };
  };

  it('has every byte once, whenever it is killed', () => {
    fc.assert(
      fc.property(fc.array(life, { maxLength: 5 }), (all) => {
        const { text, stream } = runLives(all, 8 * 1024 * 1024);
        assert.equal(text, stream);
      }),
      { numRuns: 25 },
    );
  });

  it('has every line whole over rotations, whenever it is killed', () => {
    fc.assert(
      fc.property(fc.array(life, { maxLength: 5 }), (all) => {
        const { text, stream } = runLives(all, FILE_BYTES);
        const there = new Set(text.split('\n'));
        assert.deepEqual(
          stream
            .split('\n')
            .slice(0, -1)
            .filter((line) => !there.has(line)),
          [],
        );
      }),
      { numRuns: 25 },
    );
  });
});

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
