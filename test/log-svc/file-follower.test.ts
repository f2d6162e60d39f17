import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type FileFollower, followFile } from '../../services/log-svc/file-follower.ts';
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
