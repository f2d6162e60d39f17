import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type FolderWatch, watchFolder } from '../../shared/kernel/folder-watch.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

describe('shared.watchFolder', () => {
  let folder = '';
  let watching: FolderWatch | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-watch-'));
  });
  afterEach(() => {
    watching?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('tells of many changes at once a single time', async () => {
    const file = join(folder, 'log');
    const seen: string[] = [];
    watching = watchFolder(folder, 50, () => void seen.push(readFileSync(file, 'utf8')));
    for (let line = 0; line < 100; line += 1) appendFileSync(file, 'x');
    await eventually('a look at all of it', PATIENCE_MS, () => seen.at(-1)?.length === 100);
    assert.equal(seen.length, 1);
  });

  it('hears what is written right after a look', async () => {
    const file = join(folder, 'log');
    let looks = 0;
    watching = watchFolder(folder, 1, () => {
      looks += 1;
      if (looks <= 5) appendFileSync(file, 'x');
    });
    appendFileSync(file, 'x');
    await eventually('the sixth look', PATIENCE_MS, () => looks === 6);
  });

  it('finds a folder that is made later', async () => {
    const later = join(folder, 'later');
    let looks = 0;
    watching = watchFolder(later, 1, () => {
      looks += 1;
    });
    mkdirSync(later);
    await eventually('a look when it is tried again', PATIENCE_MS, () => looks === 1);
    appendFileSync(join(later, 'log'), 'x');
    await eventually('a look at the change', PATIENCE_MS, () => looks === 2);
  });
});
