import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createFileTree } from '../../services/log-svc/file-tree.ts';
import type { LogMessage, LogSink } from '../../services/log-svc/log-flow.ts';
import { type LogFolder, openLogFolder } from '../../services/log-svc/log-folder.ts';
import { makePlace, type Place, readGenerations, retentionOf } from './log-rig.ts';

const FILE_BYTES = 256 * 1024;

const console_ = { container: 'web', source: 'console' } as const;
const message = (text: string): LogMessage => ({
  timeMs: 0,
  level: 'INFO',
  origin: { kind: 'service', name: 'ipam-svc' },
  src: 'ipam',
  text,
  fields: {},
});

describe('log-svc.fileTree', () => {
  let place: Place;
  let folder: LogFolder;
  let tree: LogSink;
  let nowMs = 0;
  const said: string[] = [];

  beforeEach(() => {
    place = makePlace();
    said.length = 0;
    folder = openLogFolder({
      root: place.log(),
      retention: retentionOf(FILE_BYTES),
      compressWorker: undefined,
      written: {},
      listener: {
        onLoss: (path, reason) => said.push(`lost ${path}: ${reason.slice(0, 6)}`),
        onRecovered: (path, { lines, bytes }) => said.push(`back ${path}: ${lines} lines, ${bytes} bytes`),
        onNote: () => undefined,
        onBegin: () => undefined,
      },
      nowMs: () => nowMs,
    });
    tree = createFileTree(folder);
  });
  afterEach(() => {
    folder.close();
    place.remove();
  });

  it('lays down messages and bytes by revision and source', () => {
    assert.deepEqual(folder.openRevision('locals/x'), { ok: true });
    tree.messages([message('one'), message('two')]);
    tree.messages([{ ...message('hello'), origin: { kind: 'container', name: 'web' }, src: '../sshd' }]);
    tree.bytes(console_, Buffer.from('login: '));
    tree.bytes({ container: 'web', source: 'lxc' }, Buffer.from('lxc says\n'));
    assert.equal(
      readFileSync(place.log('locals/x/pantavisor/pantavisor.log'), 'utf8'),
      '[1970-01-01T00:00:00.000Z] INFO  [ipam] one\n[1970-01-01T00:00:00.000Z] INFO  [ipam] two\n',
    );
    assert.equal(
      readFileSync(place.log('current/web/syslog/unknown-src'), 'utf8'),
      '[1970-01-01T00:00:00.000Z] INFO  [../sshd] hello\n',
    );
    assert.equal(readFileSync(place.log('current/web/lxc/console.log'), 'utf8'), 'login: ');
    assert.equal(readFileSync(place.log('current/web/lxc/lxc.log'), 'utf8'), 'lxc says\n');
    assert.equal(statSync(place.log('current/web/lxc/lxc.log')).mode & 0o777, 0o640);
  });

  it('moves the link to the running revision, relative', () => {
    folder.openRevision('0');
    assert.equal(readlinkSync(place.log('current')), '0');
    folder.openRevision('locals/x');
    tree.bytes(console_, Buffer.from('new\n'));
    assert.equal(readlinkSync(place.log('current')), 'locals/x');
    assert.ok(!existsSync(place.log('0/web')));
  });

  it('refuses a revision that would take the name of the link, and a folder in its place', () => {
    assert.equal(folder.openRevision('current').ok, false);
    rmSync(place.log('current'), { force: true, recursive: true });
    mkdirSync(place.log('current'));
    const opened = folder.openRevision('1');
    assert.ok(!opened.ok && opened.path === place.log('1'));
    assert.deepEqual(
      folder.troubles().map(({ code, subject }) => [code, subject]),
      [['LOG_UNWRITABLE', place.log('1')]],
    );
    rmSync(place.log('current'), { recursive: true });
    folder.refresh();
    assert.deepEqual(folder.troubles(), []);
    assert.equal(readlinkSync(place.log('current')), '1');
  });

  it('rotates a file at its size, by numbers that sort and are not given twice', () => {
    folder.openRevision('0');
    const chunk = Buffer.from(`${'x'.repeat(64 * 1024 - 1)}\n`);
    for (let count = 0; count < 9; count++) tree.bytes(console_, chunk);
    const path = place.log('0/web/lxc/console.log');
    assert.deepEqual(readdirSync(dirname(path)).sort(), ['console.log', 'console.log.000001', 'console.log.000002']);
    assert.equal(statSync(`${path}.000001`).size, FILE_BYTES);
    assert.equal(statSync(path).size, chunk.length);
    assert.equal(readGenerations(path).length, 9 * chunk.length);
    rmSync(`${path}.000001`);
    for (let count = 0; count < 4; count++) tree.bytes(console_, chunk);
    assert.ok(existsSync(`${path}.000003`));
  });

  it('keeps the path of a file of a container, and leaves neither the container’s folder nor our names to it', () => {
    folder.openRevision('0');
    const file = (path: string) => tree.bytes({ container: 'web', source: `file:/${path}` }, Buffer.from(`${path}\n`));
    for (const path of [
      'var/log/messages',
      'console.log',
      'lxc/console.log',
      '../../../up',
      'var/log/messages.000001',
      '//',
    ])
      file(path);
    assert.equal(readFileSync(place.log('0/web/var/log/messages'), 'utf8'), 'var/log/messages\n');
    assert.equal(readFileSync(place.log('0/web/syslog/console.log'), 'utf8'), 'console.log\n');
    assert.equal(readFileSync(place.log('0/web/syslog/lxc/console.log'), 'utf8'), 'lxc/console.log\n');
    assert.equal(readFileSync(place.log('0/web/syslog/up'), 'utf8'), '../../../up\n');
    assert.ok(existsSync(place.log('0/web/var/log/messages.000001_')));
    assert.ok(existsSync(place.log('0/web/syslog/unknown-src')));
  });

  it('loses nothing when something else lies where a file was', () => {
    folder.openRevision('0');
    mkdirSync(place.log('0/web'), { recursive: true });
    writeFileSync(place.log('0/web/var'), '');
    tree.bytes({ container: 'web', source: 'file:/var/log/a' }, Buffer.from('a\n'));
    tree.bytes(console_, Buffer.from('b\n'));
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'b\n');
    assert.match(folder.troubles()[0]?.message ?? '', /var\/log\/a cannot be written: .*1 lines dropped/);
  });

  it('counts what a full disk does not take, says so once, and what is missing when it is back', () => {
    folder.openRevision('0');
    const path = place.log('0/web/lxc/console.log');
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync('/dev/full', path);
    tree.bytes(console_, Buffer.from('a\n'));
    tree.bytes(console_, Buffer.from('b\nc\n'));
    assert.deepEqual(said, [`lost ${path}: ENOSPC`]);
    const [reason] = folder.troubles();
    assert.equal(reason?.code, 'LOG_UNWRITABLE');
    assert.equal(reason.subject, path);
    assert.match(reason.message, /ENOSPC.*3 lines dropped/);
    rmSync(path);
    nowMs += 1_000;
    tree.bytes(console_, Buffer.from('d\n'));
    assert.deepEqual(said.slice(1), [`back ${path}: 3 lines, 6 bytes`]);
    assert.deepEqual(folder.troubles(), []);
    assert.equal(readFileSync(path, 'utf8'), 'd\n');
  });

  it('is well again once there is room, also when there is nothing more to say', () => {
    folder.openRevision('0');
    const path = place.log('0/web/lxc/console.log');
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync('/dev/full', path);
    tree.bytes(console_, Buffer.from('a\n'));
    rmSync(path);
    nowMs += 1_000;
    folder.refresh();
    assert.deepEqual(folder.troubles(), []);
    assert.deepEqual(said.slice(1), [`back ${path}: 1 lines, 2 bytes`]);
  });

  it('tries every file as soon as one can be written again, so that the line that says so is not dropped', () => {
    folder.openRevision('0');
    const paths = [place.log('0/web/lxc/console.log'), place.log('0/pantavisor/pantavisor.log')];
    mkdirSync(place.log('0/web/lxc'), { recursive: true });
    for (const path of paths) symlinkSync('/dev/full', path);
    tree.bytes(console_, Buffer.from('a\n'));
    nowMs += 900;
    tree.messages([message('b')]);
    for (const path of paths) rmSync(path);
    nowMs += 100;
    tree.bytes(console_, Buffer.from('c\n'));
    tree.messages([message('console.log is back')]);
    assert.match(readFileSync(paths[1] ?? '', 'utf8'), /console\.log is back/);
    assert.deepEqual(folder.troubles(), []);
  });

  it('makes a file anew that somebody removed', () => {
    folder.openRevision('0');
    tree.bytes(console_, Buffer.from('a\n'));
    rmSync(place.log('0'), { recursive: true });
    folder.refresh();
    tree.bytes(console_, Buffer.from('b\n'));
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'b\n');
  });
});
