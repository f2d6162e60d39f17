import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { MAX_FILE_BYTES } from '../../services/log-svc/bounded-file.ts';
import { createFileTree } from '../../services/log-svc/file-tree.ts';
import type { LogMessage, LogOutput } from '../../services/log-svc/log-flow.ts';
import { makePlace, type Place, readGenerations } from './log-rig.ts';

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
  let tree: LogOutput;
  let nowMs = 0;
  const said: string[] = [];

  beforeEach(() => {
    place = makePlace();
    said.length = 0;
    tree = createFileTree(
      place.log(),
      {
        onLoss: (path, reason) => said.push(`lost ${path}: ${reason.slice(0, 6)}`),
        onRecovered: (path, { lines, bytes }) => said.push(`back ${path}: ${lines} lines, ${bytes} bytes`),
      },
      () => nowMs,
    );
  });
  afterEach(() => {
    tree.close();
    place.remove();
  });

  it('lays down messages and bytes by revision and source', () => {
    assert.deepEqual(tree.openRevision('locals/x'), { ok: true });
    tree.messages([message('one'), message('two')]);
    tree.messages([{ ...message('hello'), origin: { kind: 'container', name: 'web' }, src: '../sshd' }]);
    tree.bytes(console_, Buffer.from('login: '));
    tree.bytes({ container: 'web', source: 'lxc' }, Buffer.from('lxc says\n'));
    assert.equal(
      readFileSync(place.log('locals/x/pantavisor/pantavisor.log'), 'utf8'),
      '[1970-01-01T00:00:00.000Z] INFO  [ipam] one\n[1970-01-01T00:00:00.000Z] INFO  [ipam] two\n',
    );
    assert.equal(
      readFileSync(place.log('current/web/messages.log'), 'utf8'),
      '[1970-01-01T00:00:00.000Z] INFO  [../sshd] hello\n',
    );
    assert.equal(readFileSync(place.log('current/web/console.log'), 'utf8'), 'login: ');
    assert.equal(readFileSync(place.log('current/web/lxc.log'), 'utf8'), 'lxc says\n');
    assert.equal(statSync(place.log('current/web/lxc.log')).mode & 0o777, 0o640);
  });

  it('moves the link to the running revision, relative', () => {
    tree.openRevision('0');
    assert.equal(readlinkSync(place.log('current')), '0');
    tree.openRevision('locals/x');
    tree.bytes(console_, Buffer.from('new\n'));
    assert.equal(readlinkSync(place.log('current')), 'locals/x');
    assert.ok(!existsSync(place.log('0/web')));
  });

  it('refuses a revision that would take the name of the link, and a folder in its place', () => {
    assert.equal(tree.openRevision('current').ok, false);
    rmSync(place.log('current'), { force: true, recursive: true });
    mkdirSync(place.log('current'));
    const opened = tree.openRevision('1');
    assert.ok(!opened.ok && opened.path === place.log('1'));
    assert.deepEqual(
      tree.troubles().map(({ code, subject }) => [code, subject]),
      [['LOG_UNWRITABLE', place.log('1')]],
    );
    rmSync(place.log('current'), { recursive: true });
    tree.refresh();
    assert.deepEqual(tree.troubles(), []);
    assert.equal(readlinkSync(place.log('current')), '1');
  });

  it('keeps a file and one older generation, each within the bound', () => {
    tree.openRevision('0');
    const chunk = Buffer.from(`${'x'.repeat(64 * 1024 - 1)}\n`);
    for (let count = 0; count < 50; count++) tree.bytes(console_, chunk);
    const path = place.log('0/web/console.log');
    assert.equal(statSync(`${path}.1`).size, MAX_FILE_BYTES);
    assert.ok(statSync(path).size <= MAX_FILE_BYTES);
    assert.ok(!existsSync(`${path}.2`));
    assert.equal(readGenerations(path).length % chunk.length, 0);
  });

  it('counts what a full disk does not take, says so once, and what is missing when it is back', () => {
    tree.openRevision('0');
    const path = place.log('0/web/console.log');
    mkdirSync(dirname(path));
    symlinkSync('/dev/full', path);
    tree.bytes(console_, Buffer.from('a\n'));
    tree.bytes(console_, Buffer.from('b\nc\n'));
    assert.deepEqual(said, [`lost ${path}: ENOSPC`]);
    const [reason] = tree.troubles();
    assert.equal(reason?.code, 'LOG_UNWRITABLE');
    assert.equal(reason.subject, path);
    assert.match(reason.message, /ENOSPC.*3 lines dropped/);
    rmSync(path);
    nowMs += 1_000;
    tree.bytes(console_, Buffer.from('d\n'));
    assert.deepEqual(said.slice(1), [`back ${path}: 3 lines, 6 bytes`]);
    assert.deepEqual(tree.troubles(), []);
    assert.equal(readFileSync(path, 'utf8'), 'd\n');
  });

  it('makes a file anew that somebody removed', () => {
    tree.openRevision('0');
    tree.bytes(console_, Buffer.from('a\n'));
    rmSync(place.log('0'), { recursive: true });
    tree.refresh();
    tree.bytes(console_, Buffer.from('b\n'));
    assert.equal(readFileSync(place.log('0/web/console.log'), 'utf8'), 'b\n');
  });
});
