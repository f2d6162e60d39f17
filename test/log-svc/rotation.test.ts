import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { compressFile } from '../../services/log-svc/compress-worker.ts';
import { type LogFolder, openLogFolder } from '../../services/log-svc/log-folder.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { COMPRESS_WORKER, makePlace, type Place, readGenerations, retentionOf, rotatedFiles } from './log-rig.ts';

const FILE_BYTES = 64 * 1024;

describe('log-svc.rotation', () => {
  let place: Place;
  let folder: LogFolder | undefined;
  const notes: string[] = [];
  const open = (budgetBytes = FILE_BYTES * 20, root = place.log()): LogFolder => {
    folder = openLogFolder({
      root,
      retention: retentionOf(FILE_BYTES, budgetBytes),
      compressWorker: COMPRESS_WORKER,
      written: {},
      listener: {
        onLoss: (path, reason) => notes.push(`lost ${path}: ${reason}`),
        onRecovered: (path, { bytes }) => notes.push(`back ${path}: ${bytes}`),
        onNote: (line) => notes.push(line),
        onBegin: () => undefined,
      },
    });
    folder.openRevision('1');
    return folder;
  };
  const path = (): string => place.log('1/web/lxc/console.log');
  const compressed = (count: number) =>
    eventually(`${count} compressed files`, PATIENCE_MS, () => {
      const files = rotatedFiles(path());
      return files.length === count && files.every((file) => file.endsWith('.gz'));
    });
  /** `count` files full, of lines that can be told apart. */
  const fill = (into: LogFolder, count: number, from = 0): string => {
    let all = '';
    for (let line = from; all.length < count * FILE_BYTES; line += 64) {
      const lines = Array.from({ length: 64 }, (_, at) => `line ${line + at} of a log that compresses well\n`).join('');
      into.append('web/lxc/console.log', Buffer.from(lines));
      all += lines;
    }
    return all;
  };

  beforeEach(() => {
    place = makePlace();
    notes.length = 0;
  });
  afterEach(() => {
    folder?.close();
    folder = undefined;
    place.remove();
  });

  it('compresses what is rotated, with the time of the original and readable by the same group, and loses no byte', async () => {
    const written = fill(open(), 3);
    await compressed(3);
    assert.equal(readGenerations(path()), written);
    const { mode, size, mtimeMs } = statSync(`${path()}.000001.gz`);
    assert.equal(mode & 0o777, 0o640);
    assert.ok(size < FILE_BYTES / 4);
    assert.ok(mtimeMs <= statSync(path()).mtimeMs);
    assert.deepEqual(
      readdirSync(dirname(path())).filter((name) => name.startsWith('.')),
      [],
    );
  });

  it('shows every rotated file in one form at least, at every moment', async () => {
    const log = open();
    let written = '';
    const done = fill(log, 4);
    written += done;
    while (!rotatedFiles(path()).every((file) => file.endsWith('.gz'))) {
      assert.equal(readGenerations(path()), written);
      await turn();
    }
  });

  it('takes up what a crash left: half a compression goes, a doubled file is one again, a plain one is compressed', async () => {
    mkdirSync(dirname(path()), { recursive: true });
    writeFileSync(`${path()}.000001`, 'first\n');
    writeFileSync(`${path()}.000001.gz`, gzipSync('first\n'));
    writeFileSync(`${path()}.000002`, 'second\n');
    writeFileSync(join(dirname(path()), '.console.log.000002.gz.part'), gzipSync('second\n').subarray(0, 12));
    writeFileSync(path(), 'third\n');
    open();
    assert.ok(!existsSync(`${path()}.000001`));
    await compressed(2);
    // It goes a moment after the compressed one is there.
    await eventually('the original gone', PATIENCE_MS, () => !existsSync(`${path()}.000002`));
    assert.equal(readGenerations(path()), 'first\nsecond\nthird\n');
    assert.deepEqual(readdirSync(dirname(path())).sort(), [
      'console.log',
      'console.log.000001.gz',
      'console.log.000002.gz',
    ]);
  });

  it('goes on with what outputs before it were compressing, and has nothing to complain of', async () => {
    const written = fill(open(), 4);
    // As when the configuration changes: the next ones open before the last ones are gone.
    for (let change = 0; change < 3; change++) {
      await turn();
      folder?.close();
      open();
    }
    await compressed(4);
    assert.equal(readGenerations(path()), written);
    assert.deepEqual(notes, []);
  });

  it('leaves the original where it cannot be compressed', async () => {
    mkdirSync(dirname(path()), { recursive: true });
    writeFileSync(`${path()}.000001`, 'text\n');
    mkdirSync(`${path()}.000001.gz`);
    const outcome = await compressFile(`${path()}.000001`);
    assert.ok(!outcome.ok && /EISDIR/.test(outcome.reason));
    assert.equal(readFileSync(`${path()}.000001`, 'utf8'), 'text\n');
    assert.deepEqual(readdirSync(dirname(path())).sort(), ['console.log.000001', 'console.log.000001.gz']);
  });

  it('stays within the budget under a flood, at the cost of the flood, and says so', async () => {
    const budget = FILE_BYTES * 8;
    const log = open(budget);
    mkdirSync(place.log('0/web/lxc'), { recursive: true });
    writeFileSync(place.log('0/web/lxc/console.log'), 'of the revision before\n');
    log.append('quiet/lxc/console.log', Buffer.from('quiet\n'));
    const noise = Buffer.alloc(FILE_BYTES / 2);
    for (let count = 0; count < 64; count++) {
      crypto.getRandomValues(noise);
      log.append('web/lxc/console.log', noise);
      await turn();
      await turn();
    }
    const used = () =>
      Number(execFileSync('du', ['-sb', '--apparent-size', place.log('1')], { encoding: 'utf8' }).split('\t')[0]);
    await eventually('a folder within the budget', PATIENCE_MS, () => used() <= budget);
    assert.equal(readFileSync(place.log('1/quiet/lxc/console.log'), 'utf8'), 'quiet\n');
    assert.ok(!existsSync(place.log('0')), 'what other revisions left goes first, with its folders');
    assert.match(notes.join('\n'), /removed \d+ old log files, \d+ bytes, to stay within \d+/);
    assert.deepEqual(log.troubles(), []);
  });

  it('rotates a file before its time when files that are being written are too much by themselves', async () => {
    const log = open(FILE_BYTES * 2);
    for (const name of ['a', 'b', 'c', 'd'])
      log.append(`${name}/lxc/console.log`, Buffer.alloc(FILE_BYTES / 2 - 1, name));
    log.refresh();
    const rotated = () => ['a', 'b', 'c', 'd'].filter((name) => !existsSync(place.log('1', name, 'lxc/console.log')));
    await eventually('one of them rotated', PATIENCE_MS, () => rotated().length === 1);
    assert.deepEqual(log.troubles(), []);
  });
});
