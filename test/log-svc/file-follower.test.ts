import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type FileFollower, followFile, PAGE_BYTES, RELEASE_BYTES } from '../../services/log-svc/file-follower.ts';
import { planResume } from '../../services/log-svc/tail-cursor.ts';
import { punchHole } from '../../shared/kernel/holes.ts';
import { eventually } from '../kit/eventually.ts';
import { makePlace, type Place } from './log-rig.ts';

describe('log-svc.followFile', () => {
  let place: Place;
  let path: string;
  const open = new Set<FileFollower>();
  const follow = (from?: ReturnType<FileFollower['cursor']>): FileFollower => {
    const follower = followFile(path, from);
    open.add(follower);
    return follower;
  };
  const readAll = (follower: FileFollower): string => {
    let text = '';
    while (follower.turn((bytes) => (text += bytes.toString())));
    return text;
  };
  const rotate = (): void => renameSync(path, `${path}.1`);

  beforeEach(() => {
    place = makePlace();
    path = join(place.rundir, 'lxc', 'console');
  });
  afterEach(() => {
    for (const follower of open) follower.close();
    open.clear();
    place.remove();
  });

  it('waits for a file that is not there yet', () => {
    const follower = follow();
    assert.equal(readAll(follower), '');
    writeFileSync(path, 'a\n');
    assert.equal(readAll(follower), 'a\n');
    appendFileSync(path, 'prompt$ ');
    assert.equal(readAll(follower), 'prompt$ ');
  });

  it('is before what it hands on as long as it does', () => {
    writeFileSync(path, 'a\n');
    const follower = follow();
    const during: ReturnType<FileFollower['cursor']>[] = [];
    const read = (): void => {
      while (follower.turn(() => during.push(follower.cursor())));
    };
    read();
    appendFileSync(path, 'b\n');
    read();
    rotate();
    writeFileSync(path, 'c\n');
    read();
    assert.deepEqual(
      during.map((cursor) => readAll(follow(cursor))),
      ['a\nb\nc\n', 'b\nc\n', 'c\n'],
    );
  });

  it('reads the end of the old file, then the new one, when it is rotated', () => {
    writeFileSync(path, 'a\n');
    const follower = follow();
    assert.equal(readAll(follower), 'a\n');
    appendFileSync(path, 'b\n');
    rotate();
    assert.equal(readAll(follower), 'b\n');
    writeFileSync(path, 'c\n');
    assert.equal(readAll(follower), 'c\n');
  });

  it('reads what the old file gets while it is read, before and after it is rotated', () => {
    writeFileSync(path, 'a\n');
    const follower = follow();
    let text = '';
    const more: (() => void)[] = [
      () => {
        appendFileSync(path, 'b\n');
        rotate();
        writeFileSync(path, 'd\n');
      },
      () => appendFileSync(`${path}.1`, 'c\n'),
    ];
    const read = (bytes: Buffer): void => {
      text += bytes.toString();
      more.shift()?.();
    };
    while (follower.turn(read));
    assert.equal(text, 'a\nb\nc\nd\n');
  });

  it('knows after one turn that nothing happens in a file that was written long ago', () => {
    writeFileSync(path, 'a\n');
    utimesSync(path, 1, 1);
    const follower = follow();
    assert.equal(readAll(follower), 'a\n');
    assert.equal(follower.isQuiet(), true);
    appendFileSync(path, 'b\n');
    assert.equal(follower.isQuiet(), false);
  });

  it('misses no generation when it is rotated twice between two looks', () => {
    writeFileSync(path, 'a\n');
    const follower = follow();
    assert.equal(readAll(follower), 'a\n');
    appendFileSync(path, 'b\n');
    rotate();
    writeFileSync(path, 'c\n');
    rotate();
    writeFileSync(path, 'd\n');
    assert.equal(readAll(follower), 'b\nc\nd\n');
  });

  it('says when a file may have come and gone that nobody read, also over a restart', () => {
    let gaps = 0;
    const readOn = (follower: FileFollower): string => {
      let text = '';
      while (
        follower.turn(
          (bytes) => (text += bytes.toString()),
          () => gaps++,
        )
      );
      return text;
    };
    writeFileSync(path, 'a\n');
    const follower = follow();
    assert.equal(readOn(follower), 'a\n');
    rotate();
    writeFileSync(path, 'b\n');
    assert.equal(readOn(follower), 'b\n');
    assert.equal(gaps, 0, 'one rotation is none');
    for (const text of ['lost\n', 'c\n', 'd\n']) {
      rotate();
      writeFileSync(path, text);
    }
    assert.equal(readOn(follower), 'c\nd\n');
    assert.equal(gaps, 1);
    const cursor = follower.cursor();
    for (const text of ['lost\n', 'e\n', 'f\n']) {
      rotate();
      writeFileSync(path, text);
    }
    assert.equal(readOn(follow(cursor)), 'e\nf\n');
    assert.equal(gaps, 2);
  });

  it('starts over when the file is cut short, also when it has grown past the old place since', () => {
    writeFileSync(path, 'first\n');
    const follower = follow();
    assert.equal(readAll(follower), 'first\n');
    truncateSync(path);
    assert.equal(readAll(follower), '');
    appendFileSync(path, 'again\n');
    assert.equal(readAll(follower), 'again\n');
    truncateSync(path);
    appendFileSync(path, 'something longer\n');
    assert.equal(readAll(follower), 'something longer\n');
  });

  it('goes on from a cursor', () => {
    writeFileSync(path, 'a\n');
    const first = follow();
    readAll(first);
    appendFileSync(path, 'b\n');
    assert.equal(readAll(follow(first.cursor())), 'b\n');
  });

  it('goes on from a cursor in the generation that was rotated away meanwhile', () => {
    writeFileSync(path, 'a\n');
    const first = follow();
    readAll(first);
    appendFileSync(path, 'b\n');
    rotate();
    writeFileSync(path, 'c\n');
    assert.equal(readAll(follow(first.cursor())), 'b\nc\n');
  });

  it('reads both generations when the file of the cursor is gone, also when its inode number came back', () => {
    writeFileSync(path, 'a\n');
    const first = follow();
    readAll(first);
    first.close();
    rotate();
    writeFileSync(path, 'b\n');
    rotate();
    // ext4 gives the number of the first file to this one.
    writeFileSync(path, 'c and more\n');
    assert.equal(readAll(follow(first.cursor())), 'b\nc and more\n');
  });

  it('reads what is left of a file that was removed', () => {
    writeFileSync(path, 'a\n');
    const follower = follow();
    readAll(follower);
    appendFileSync(path, 'last words\n');
    rmSync(path);
    assert.equal(readAll(follower), 'last words\n');
  });

  const release = (follower: FileFollower, minBytes: number): number => {
    const freed: number[] = [];
    follower.release(minBytes, (_, from, to) => {
      const fd = openSync(path, 'r+');
      punchHole(fd, from, to);
      closeSync(fd);
      freed.push(to - from);
      return true;
    });
    return freed.reduce((sum, bytes) => sum + bytes, 0);
  };

  it('gives back what was read, in pieces worth it, and is not disturbed by that', () => {
    writeFileSync(path, 'x'.repeat(RELEASE_BYTES));
    const follower = follow();
    readAll(follower);
    assert.equal(release(follower, RELEASE_BYTES), 0, 'the first page stays, so it is too little');
    appendFileSync(path, 'y'.repeat(3 * RELEASE_BYTES));
    readAll(follower);
    assert.equal(release(follower, RELEASE_BYTES), 4 * RELEASE_BYTES - PAGE_BYTES);
    assert.ok(statSync(path).blocks * 512 <= 4 * PAGE_BYTES);
    assert.equal(readFileSync(path, 'utf8').slice(0, 3), 'xxx');
    appendFileSync(path, 'on\n');
    assert.equal(readAll(follower), 'on\n');
    appendFileSync(path, 'and on\n');
    assert.equal(readAll(follow(follower.cursor())), 'and on\n');
    assert.equal(release(follower, PAGE_BYTES), 0, 'nothing twice');
  });

  it('reads no zeros where nobody knows how far it was read before', () => {
    writeFileSync(path, `${'x'.repeat(8 * RELEASE_BYTES - 2)}a\n`);
    const follower = follow();
    readAll(follower);
    release(follower, RELEASE_BYTES);
    appendFileSync(path, 'b\n');
    assert.equal(readAll(follow()), 'b\n');
  });

  it('is quiet when everything is read and nobody has tried to write since', async () => {
    writeFileSync(path, 'a\n');
    const follower = follow();
    assert.equal(follower.isQuiet(), false);
    await eventually('its time is over', 20_000, () => {
      readAll(follower);
      return follower.isQuiet();
    });
    appendFileSync(path, 'b\n');
    assert.equal(follower.isQuiet(), false);
  });

  /** Also those that lead to what was removed. */
  const openHere = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
      } catch {
        return false;
      }
    }).length;

  it('holds nothing open of a turn that failed, and reads on when the generation before can be read again', () => {
    writeFileSync(path, 'a\n');
    const first = follow();
    readAll(first);
    appendFileSync(path, 'b\n');
    const cursor = first.cursor();
    first.close();
    // A folder opens and cannot be read.
    mkdirSync(`${path}.1`);
    const second = follow(cursor);
    for (let count = 0; count < 3; count += 1) assert.throws(() => readAll(second), /EISDIR/);
    assert.equal(openHere(), 0);
    rmSync(`${path}.1`, { recursive: true });
    assert.equal(readAll(second), 'b\n');

    rmSync(path);
    writeFileSync(path, 'c\n');
    // It leads to itself, so it cannot be opened.
    symlinkSync(`${path}.1`, `${path}.1`);
    const before = openHere();
    for (let count = 0; count < 3; count += 1) assert.throws(() => readAll(second), /ELOOP/);
    assert.equal(openHere(), before);
    rmSync(`${path}.1`);
    assert.equal(readAll(second), 'c\n');
  });

  it('takes a file of another file system for another one, whatever else is the same', () => {
    const head = Buffer.from('ready\n');
    const cursor = { inode: 3, offset: 6, head: head.toString('base64'), bornMs: 1 };
    const found = (bornMs?: number) => ({ inode: 3, size: 6, head, ...(bornMs === undefined ? {} : { bornMs }) });
    assert.equal(planResume(cursor, found(2), undefined).currentFrom, 0);
    assert.equal(planResume(cursor, found(1), undefined).currentFrom, 6);
    assert.equal(planResume(cursor, found(), undefined).currentFrom, 6, 'its file system does not say');
  });

  it('reads in bounded turns', () => {
    writeFileSync(path, 'x'.repeat(1024 * 1024));
    const follower = follow();
    let bytes = 0;
    assert.equal(
      follower.turn((chunk) => {
        bytes += chunk.length;
      }),
      true,
    );
    assert.equal(bytes, 256 * 1024);
  });
});
