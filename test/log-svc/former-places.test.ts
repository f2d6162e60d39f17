// Logs of a build that had consoles and LXC's own logs beside the folder `lxc`: each is moved once, and goes on where it was.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { WrittenPlace } from '../../services/log-svc/carried-bytes.ts';
import { createFileTree } from '../../services/log-svc/file-tree.ts';
import type { LogSink } from '../../services/log-svc/log-flow.ts';
import { type LogFolder, openLogFolder } from '../../services/log-svc/log-folder.ts';
import { makePlace, type Place, readGenerations, retentionOf } from './log-rig.ts';

const console_ = { container: 'web', source: 'console' } as const;

describe('log-svc.formerPlaces', () => {
  let place: Place;
  let folders: LogFolder[];
  const notes: string[] = [];
  const open = (written: Readonly<Record<string, WrittenPlace>> = {}): LogSink => {
    const folder = openLogFolder({
      root: place.log(),
      retention: retentionOf(256 * 1024),
      compressWorker: undefined,
      written,
      listener: {
        onLoss: (path, reason) => assert.fail(`${path}: ${reason}`),
        onRecovered: () => undefined,
        onNote: (line) => notes.push(line),
        onBegin: () => undefined,
      },
    });
    folders.push(folder);
    folder.openRevision('0');
    return createFileTree(folder);
  };
  /** `changed`: seconds since 1970. */
  const put = (file: string, content: string | Buffer, changed = 1_000): string => {
    const path = place.log(file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    utimesSync(path, changed, changed);
    return path;
  };
  const placeOf = (path: string, size: number): WrittenPlace => ({ inode: statSync(path).ino, size });

  beforeEach(() => {
    place = makePlace();
    folders = [];
    notes.length = 0;
  });
  afterEach(() => {
    for (const folder of folders) folder.close();
    place.remove();
  });

  it('are left by what lay there, of every revision, with rotated files, and by nothing else', () => {
    const moved = ['console.log', 'console.log.000007', 'lxc.log', 'lxc.log.000001.gz'];
    for (const container of ['0/web', 'locals/x/web', '3/db']) {
      for (const file of moved) put(`${container}/${file}`, `${container} ${file}\n`);
    }
    const others = ['0/web/syslog/app', '0/web/a/console.log', 'locals/x/web/a/lxc.log', '0/pv.log'];
    for (const file of others) put(file, 'other\n');
    open();
    for (const container of ['0/web', 'locals/x/web', '3/db']) {
      for (const file of moved)
        assert.equal(readFileSync(place.log(container, 'lxc', file), 'utf8'), `${container} ${file}\n`);
      assert.deepEqual(
        readdirSync(place.log(container)).filter((name) => /^(console|lxc)\.log/.test(name)),
        [],
      );
    }
    for (const file of others) assert.equal(readFileSync(place.log(file), 'utf8'), 'other\n', file);
    assert.deepEqual(notes, []);
  });

  it('are left by messages that were in one file, whole and to be compressed: others are written now', () => {
    put('0/web/messages.log.000004.gz', gzipSync('first\n'));
    put('0/web/messages.log', 'second\nto');
    put('0/web/a/messages.log', 'other\n');
    open().messages([
      {
        timeMs: 0,
        level: 'INFO',
        origin: { kind: 'container', name: 'web' },
        src: 'sshd',
        text: 'third',
        fields: {},
      },
    ]);
    assert.ok(!existsSync(place.log('0/web/messages.log')));
    assert.equal(readGenerations(place.log('0/web/messages.log')), 'first\nsecond\n');
    assert.match(readFileSync(place.log('0/web/syslog/sshd'), 'utf8'), /third\n$/);
    assert.equal(readFileSync(place.log('0/web/a/messages.log'), 'utf8'), 'other\n');
  });

  it('are left with the place that was saved: what a kill repeats is not there twice', () => {
    const path = put('0/web/console.log', 'one\ntwo\nthr');
    const tree = open({ '0/web/console.log': placeOf(path, 'one\ntw'.length) });
    tree.bytes(console_, Buffer.from('o\nthree\nfour\n'));
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'one\ntwo\nthree\nfour\n');
    assert.deepEqual(Object.keys(folders[0]?.written() ?? {}), ['0/web/lxc/console.log']);
  });

  it('are left as well when the service was killed after the move, before it saved the new places', () => {
    const path = put('0/web/console.log', 'login: ');
    const written = { '0/web/console.log': placeOf(path, 'login: '.length) };
    open(written);
    open(written).bytes(console_, Buffer.from('root\n'));
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'login: root\n');
  });

  it('are left in the order of age whenever a kill interrupts it', () => {
    const texts = ['first\n', 'second\n', 'third\n', 'fourth\n'];
    for (let before = 0; before <= texts.length; before++) {
      rmSync(place.log('0'), { recursive: true, force: true });
      const [gz = '', plain = '', last = '', current = ''] = texts;
      const files = [
        put('0/web/console.log.000002.gz', gzipSync(gz)),
        put('0/web/console.log.000003', plain),
        put('0/web/console.log.000010', last),
        put('0/web/console.log', current),
      ];
      mkdirSync(place.log('0/web/lxc'));
      for (const path of files.slice(0, before)) renameSync(path, path.replace('/web/', '/web/lxc/'));
      open().bytes(console_, Buffer.from('fifth\n'));
      assert.equal(readGenerations(place.log('0/web/lxc/console.log')), `${texts.join('')}fifth\n`, `${before} moved`);
    }
  });

  it('are left once where a crash left a rotated file twice', () => {
    put('0/web/console.log.000001', 'first\n');
    put('0/web/console.log.000001.gz', gzipSync('first\n'));
    put('0/web/console.log', 'second\n');
    open();
    assert.equal(readGenerations(place.log('0/web/lxc/console.log')), 'first\nsecond\n');
  });

  it('take nobody’s place when builds took turns: all is there, by age', () => {
    put('0/web/lxc/console.log.000001', 'a\n', 1);
    put('0/web/lxc/console.log', 'b\n', 2);
    put('0/web/console.log.000001', 'c\n', 3);
    const path = put('0/web/console.log', 'd\n', 4);
    const written = { '0/web/lxc/console.log': { inode: 1, size: 2 }, '0/web/console.log': placeOf(path, 0) };
    open(written).bytes(console_, Buffer.from('d\ne\n'));
    assert.equal(readGenerations(place.log('0/web/lxc/console.log')), 'a\nb\nc\nd\ne\n');
  });

  it('keep the younger file as the one that goes on', () => {
    put('0/web/console.log', 'old\n', 1);
    put('0/web/lxc/console.log', 'new\n', 2);
    open().bytes(console_, Buffer.from('newer\n'));
    assert.equal(readGenerations(place.log('0/web/lxc/console.log')), 'old\nnew\nnewer\n');
  });

  it('are not left through a link, and say so', () => {
    const elsewhere = place.log('elsewhere');
    mkdirSync(elsewhere, { recursive: true });
    put('0/web/console.log', 'here\n');
    symlinkSync(elsewhere, place.log('0/web/lxc'));
    put('0/db/lxc.log', 'moved\n');
    open();
    assert.equal(readFileSync(place.log('0/web/console.log'), 'utf8'), 'here\n');
    assert.deepEqual(readdirSync(elsewhere), []);
    assert.match(notes.join('\n'), /0\/web is not moved to .*0\/web\/lxc\/console\.log: .* is no folder/);
    assert.ok(existsSync(place.log('0/db/lxc/lxc.log')));
  });

  it('are followed by a torn write like any other file', () => {
    const path = put('0/web/console.log', 'one\ntwo\n');
    const written = { '0/web/console.log': placeOf(path, 4) };
    truncateSync(path, 'one\nt'.length);
    open(written).bytes(console_, Buffer.from('two\n'));
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'one\ntwo\n');
  });
});
