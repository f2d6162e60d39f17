import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { type ContainerRoot, outsideRoot } from '../../services/lxc-svc/container-file.ts';
import { createFileTail, type FileTail, MAX_BEHIND_BYTES } from '../../services/lxc-svc/file-tail.ts';
import { MAX_RAW_BYTES, openRawLog } from '../../services/lxc-svc/raw-log.ts';
import type { TailPlace } from '../../services/lxc-svc/tail-place.ts';
import { openRoot } from '../../shared/kernel/open-inside.ts';

const PATH = '/var/log/messages';

describe('lxc-svc.fileTail', () => {
  let folder: string;
  let root: string;
  let openedRoot: number;
  let insideRoot: ContainerRoot;
  let raw: string;
  let place: TailPlace | undefined;
  let tail: FileTail;
  const said: string[] = [];
  const inside = (path = PATH) => join(root, path);
  const open = (newSinceMs = 0, truncateBytes?: number): FileTail => {
    tail = createFileTail({
      file: { path: PATH, ...(truncateBytes === undefined ? {} : { truncateBytes }) },
      raw: openRawLog(raw, undefined),
      place,
      onPlace: (told) => {
        place = told;
      },
      newSinceMs,
      say: (text) => said.push(text),
    });
    return tail;
  };
  /** As log-svc has it. */
  const copied = (): string =>
    [`${raw}.1`, raw].map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : '')).join('');
  const lookUntilQuiet = (): void => {
    for (let quiet = 0; quiet < 3; quiet++) while (tail.look(insideRoot));
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-tail-'));
    root = join(folder, 'root');
    raw = join(folder, 'raw.log');
    mkdirSync(join(root, 'var/log'), { recursive: true });
    openedRoot = openRoot(root);
    insideRoot = outsideRoot(openedRoot);
    place = undefined;
    said.length = 0;
    open();
  });
  afterEach(() => {
    tail.close();
    closeSync(openedRoot);
    rmSync(folder, { recursive: true, force: true });
  });

  it('waits for a file, and copies what is appended, nothing twice', () => {
    assert.equal(tail.look(insideRoot), false);
    writeFileSync(inside(), 'a\n');
    tail.look(insideRoot);
    tail.look(insideRoot);
    appendFileSync(inside(), 'b\n');
    tail.look(insideRoot);
    assert.equal(copied(), 'a\nb\n');
    assert.equal(statSync(raw).mode & 0o777, 0o640);
  });

  it('reads a renamed file to its end before the new one, also what comes to it afterwards', () => {
    writeFileSync(inside(), 'a\n');
    tail.look(insideRoot);
    appendFileSync(inside(), 'b\n');
    const writer = openSync(inside(), 'a');
    renameSync(inside(), inside(`${PATH}.0`));
    writeFileSync(inside(), 'd\n');
    tail.look(insideRoot);
    writeSync(writer, 'c\n');
    closeSync(writer);
    lookUntilQuiet();
    assert.equal(copied(), 'a\nb\nc\nd\n');
  });

  it('keeps files that come and go quickly in their order', () => {
    for (let at = 0; at < 3; at++) {
      if (at > 0) renameSync(inside(), inside(`${PATH}.${at}`));
      writeFileSync(inside(), `file ${at}\n`);
      tail.look(insideRoot);
    }
    lookUntilQuiet();
    assert.equal(copied(), 'file 0\nfile 1\nfile 2\n');
  });

  it('starts over when the file is emptied, also when it has grown past the old place since', () => {
    writeFileSync(inside(), 'first\n');
    tail.look(insideRoot);
    truncateSync(inside());
    appendFileSync(inside(), 'second, and longer\n');
    tail.look(insideRoot);
    truncateSync(inside());
    tail.look(insideRoot);
    appendFileSync(inside(), '3\n');
    tail.look(insideRoot);
    assert.equal(copied(), 'first\nsecond, and longer\n3\n');
  });

  it('leaves the hole out that a writer makes who does not append', () => {
    const writer = openSync(inside(), 'w');
    writeSync(writer, 'one\n');
    tail.look(insideRoot);
    truncateSync(inside());
    writeSync(writer, 'two\n');
    lookUntilQuiet();
    closeSync(writer);
    assert.equal(copied(), 'one\ntwo\n');
  });

  it('empties a file that is larger than asked for, once everything of it is copied', () => {
    tail.close();
    open(0, 4096);
    const text = `${'x'.repeat(63)}\n`.repeat(80);
    writeFileSync(inside(), text);
    tail.look(insideRoot);
    assert.equal(statSync(inside()).size, 0);
    appendFileSync(inside(), 'next\n');
    tail.look(insideRoot);
    assert.equal(copied(), `${text}next\n`);
  });

  it('follows links within the root, and never out of it', () => {
    writeFileSync(join(folder, 'secret'), 'secret\n');
    mkdirSync(join(root, 'data'));
    for (const target of ['../../../../secret', '/../secret', '/proc/self/environ', join(folder, 'secret')]) {
      rmSync(inside(), { force: true });
      symlinkSync(target, inside());
      tail.look(insideRoot);
    }
    assert.equal(copied(), '');
    rmSync(inside());
    symlinkSync('/data/messages', inside());
    writeFileSync(join(root, 'data/messages'), 'mine\n');
    tail.look(insideRoot);
    assert.equal(copied(), 'mine\n');
  });

  it('refuses what is no regular file of a plain file system, with one line each, and goes on when it is one', () => {
    const make: Readonly<Record<string, () => void>> = {
      'a FIFO': () => execFileSync('mkfifo', [inside()]),
      'a directory': () => mkdirSync(inside()),
      'a device': () => execFileSync('mknod', [inside(), 'c', '1', '5']),
    };
    for (const [what, create] of Object.entries(make)) {
      create();
      for (let looks = 0; looks < 3; looks++) tail.look(insideRoot);
      rmSync(inside(), { recursive: true });
      assert.deepEqual(said.splice(0), [`${PATH} is not followed: it is ${what}`]);
    }
    writeFileSync(inside(), 'text\n');
    tail.look(insideRoot);
    assert.equal(copied(), 'text\n');
  });

  it('refuses the files of /proc', () => {
    const host = openRoot('/');
    const proc = createFileTail({
      file: { path: '/proc/version' },
      raw: openRawLog(join(folder, 'proc.log'), undefined),
      place: undefined,
      onPlace: () => undefined,
      newSinceMs: 0,
      say: (text) => said.push(text),
    });
    proc.look(outsideRoot(host));
    proc.close();
    closeSync(host);
    assert.match(said[0] ?? '', /^\/proc\/version is not followed: it is on a file system of type 0x9fa0/);
  });

  it('follows a file that was there before from its end, whatever its size', () => {
    tail.close();
    writeFileSync(inside(), 'old\n');
    truncateSync(inside(), 1024 ** 3);
    open(Date.now() + 60_000);
    tail.look(insideRoot);
    appendFileSync(inside(), 'new\n');
    tail.look(insideRoot);
    assert.equal(copied(), 'new\n');
  });

  it('skips what lies there before a start, and goes on where an earlier run ended', () => {
    writeFileSync(inside(), 'from another boot\n');
    tail.skipPresent(insideRoot);
    appendFileSync(inside(), 'run 1\n');
    tail.finish(insideRoot);
    tail.close();
    appendFileSync(inside(), 'its last words\n');
    open();
    tail.skipPresent(insideRoot);
    tail.look(insideRoot);
    assert.equal(copied(), 'run 1\nits last words\n');
  });

  it('catches up with a flood, says how much was left out, and holds no more than its bound', () => {
    writeFileSync(inside(), 'first\n');
    tail.look(insideRoot);
    const line = `${'y'.repeat(99)}\n`;
    appendFileSync(inside(), line.repeat(Math.ceil((2 * MAX_BEHIND_BYTES) / line.length)));
    lookUntilQuiet();
    appendFileSync(inside(), 'last\n');
    lookUntilQuiet();
    assert.match(
      copied(),
      /\n\[\d+ bytes of \/var\/log\/messages left out: it grows faster than 128 KiB can be read at a time\]\n/,
    );
    assert.match(copied(), /last\n$/);
    const left = Number(/^(\d+) bytes/.exec(said[0] ?? '')?.[1]);
    const kept = copied().replace(/\n\[.*\]\n/, '').length;
    assert.equal(left + kept, statSync(inside()).size);
    assert.ok(statSync(raw).size <= MAX_RAW_BYTES);
  });

  it('knows its place after its raw log was rotated more than once', () => {
    writeFileSync(inside(), 'x'.repeat(3 * MAX_RAW_BYTES + 1_000));
    lookUntilQuiet();
    tail.close();
    appendFileSync(inside(), 'after\n');
    open();
    const before = statSync(raw).size;
    lookUntilQuiet();
    assert.equal(readFileSync(raw, 'utf8').slice(before), 'after\n');
  });

  it('lets go of a file whose place cannot be told', () => {
    writeFileSync(inside(), 'a\n');
    tail.look(insideRoot);
    tail.close();
    const failing = (): never => {
      throw new Error('EIO');
    };
    const opened = openRawLog(raw, undefined);
    const told = { file: { path: PATH }, place, onPlace: () => undefined, newSinceMs: 0, say: () => undefined };
    tail = createFileTail({ ...told, raw: { ...opened, state: failing } });
    const before = readdirSync('/proc/self/fd').length;
    assert.throws(() => tail.look(insideRoot), /EIO/);
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });

  it('repeats and loses nothing when it is killed at any look, over rotations of either side', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('write' as const), lines: fc.integer({ min: 1, max: 6000 }) }),
      fc.record({ do: fc.constantFrom('look' as const, 'kill' as const, 'rotate' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), (steps) => {
        let line = 0;
        let all = '';
        let seen = '';
        const collect = (): void => {
          while (tail.look(insideRoot)) take();
          take();
        };
        /** What log-svc does: the rest of the older generation, then the newer one. */
        let [inode, taken] = [0, 0];
        const take = (): void => {
          if (statSync(raw).ino !== inode && inode !== 0) {
            seen += readFileSync(`${raw}.1`).subarray(taken).toString();
            taken = 0;
          }
          inode = statSync(raw).ino;
          const bytes = readFileSync(raw);
          seen += bytes.subarray(taken).toString();
          taken = bytes.length;
        };
        tail.close();
        for (const path of [raw, `${raw}.1`, inside(), inside(`${PATH}.1`)]) rmSync(path, { force: true });
        place = undefined;
        open();
        for (const each of steps) {
          if (each.do === 'write') {
            const text = Array.from({ length: each.lines }, () => `line ${++line} of the file\n`).join('');
            appendFileSync(inside(), text);
            all += text;
          } else if (each.do === 'look') {
            tail.look(insideRoot);
            take();
          } else if (each.do === 'kill') {
            tail.close();
            open();
          } else if (existsSync(inside())) {
            // One rotation between two looks is what can be told apart by name.
            for (let quiet = 0; quiet < 3; quiet++) collect();
            renameSync(inside(), inside(`${PATH}.1`));
          }
        }
        for (let quiet = 0; quiet < 4; quiet++) collect();
        assert.equal(seen, all);
      }),
      { numRuns: 60 },
    );
  });
});
